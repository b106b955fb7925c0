//! `/v1/files`.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{
    ApiError, ListKind,
    check::{missing, whole},
};

/// What a file is.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum FileKind {
    /// The only kind.
    File,
}

/// What a file is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum FilePurpose {
    /// Accepted; there is no Assistants API here.
    Assistants,
    /// Never made here.
    AssistantsOutput,
    /// Requests of a batch.
    Batch,
    /// Answers of a batch.
    BatchOutput,
    /// Never made here: nothing is trained.
    #[serde(rename = "fine-tune")]
    FineTune,
    /// Never made here.
    #[serde(rename = "fine-tune-results")]
    FineTuneResults,
    /// Pictures.
    Vision,
    /// Anything that a message may hold.
    UserData,
}

/// Purposes that an upload may have, in OpenAI's order; the first four are taken here.
const PURPOSES: [(&str, Option<FilePurpose>); 6] = [
    ("assistants", Some(FilePurpose::Assistants)),
    ("batch", Some(FilePurpose::Batch)),
    ("fine-tune", None),
    ("vision", Some(FilePurpose::Vision)),
    ("user_data", Some(FilePurpose::UserData)),
    ("evals", None),
];

impl FilePurpose {
    /// The purpose of an upload.
    ///
    /// # Errors
    /// A 400 for what is no purpose, and for what cannot be done here.
    pub fn of_upload(text: &str) -> Result<Self, ApiError> {
        let known: Vec<&str> = PURPOSES.iter().map(|p| p.0).collect();
        crate::check::one_of("purpose", Some(text), &known)?;
        PURPOSES.iter().find(|p| p.0 == text).and_then(|p| p.1).ok_or_else(|| {
            crate::check::unsupported_value("purpose", &format!("is '{text}', which this server has no use for."))
        })
    }

    /// As it is written.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Assistants => "assistants",
            Self::AssistantsOutput => "assistants_output",
            Self::Batch => "batch",
            Self::BatchOutput => "batch_output",
            Self::FineTune => "fine-tune",
            Self::FineTuneResults => "fine-tune-results",
            Self::Vision => "vision",
            Self::UserData => "user_data",
        }
    }
}

/// How far a file is.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum FileStatus {
    /// It is there.
    Uploaded,
    /// It is there and can be used: what every file here is.
    Processed,
    /// Never sent.
    Error,
}

/// A file.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = OpenAIFile)]
pub struct FileObject {
    /// `file-…`.
    pub id: String,
    /// `file`.
    pub object: FileKind,
    /// Its size.
    #[schema(value_type = i64)]
    pub bytes: u64,
    /// Seconds since the epoch.
    pub created_at: i64,
    /// Seconds since the epoch; left out where it is kept for ever.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub expires_at: Option<i64>,
    /// Its name.
    pub filename: String,
    /// What for.
    pub purpose: FilePurpose,
    /// `processed`.
    #[schema(deprecated)]
    pub status: FileStatus,
}

/// Files.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = ListFilesResponse)]
pub struct FileList {
    /// `list`.
    #[schema(value_type = String)]
    pub object: ListKind,
    /// The files.
    pub data: Vec<FileObject>,
    /// The first one's id; empty where there is none.
    pub first_id: String,
    /// The last one's id, for `after`; empty where there is none.
    pub last_id: String,
    /// Whether there are more behind the last one.
    pub has_more: bool,
}

/// A file is gone.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = DeleteFileResponse)]
pub struct FileDeleted {
    /// Which.
    pub id: String,
    /// `file`.
    pub object: FileKind,
    /// True.
    pub deleted: bool,
}

/// An upload, as a form of several parts.
#[derive(Debug, ToSchema)]
#[allow(dead_code, reason = "for readers of the specification; the form is read as a stream")]
#[schema(as = CreateFileRequest)]
pub struct FileUpload {
    /// The file.
    #[schema(value_type = String, format = Binary)]
    file: Vec<u8>,
    /// What for.
    purpose: UploadPurpose,
    /// When it ends; after the server's own days at the latest.
    #[schema(nullable = false)]
    expires_after: Option<ExpiresAfter>,
}

/// What an upload may be for.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs, dead_code)]
pub enum UploadPurpose {
    Assistants,
    Batch,
    /// Refused: nothing is trained here.
    #[serde(rename = "fine-tune")]
    FineTune,
    Vision,
    UserData,
    /// Refused: nothing is evaluated here.
    Evals,
}

/// When a file ends, from its creation on.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = FileExpirationAfter)]
pub struct ExpiresAfter {
    /// `created_at`.
    #[schema(value_type = Anchor)]
    pub anchor: String,
    /// From one hour to 30 days.
    #[schema(minimum = 3600, maximum = 2_592_000)]
    pub seconds: i64,
}

/// From when on it counts.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[allow(dead_code)]
pub enum Anchor {
    /// From the file's creation.
    CreatedAt,
}

impl ExpiresAfter {
    /// Checks anchor and range; `path` is where it stands in the request.
    ///
    /// # Errors
    /// A 400 that names the part.
    pub fn validate(&self, path: &str) -> Result<(), ApiError> {
        crate::check::one_of(&format!("{path}.anchor"), Some(&self.anchor), &["created_at"])?;
        whole(&format!("{path}.seconds"), Some(self.seconds), 3600, 2_592_000)
    }
}

/// The fields of an upload's form but for the file itself, as they came.
#[derive(Debug, Clone, Default)]
pub struct UploadFields {
    /// `purpose`.
    pub purpose: Option<String>,
    /// `expires_after`, as JSON.
    pub expires_after: Option<String>,
    /// `expires_after[anchor]`, as SDKs write it.
    pub anchor: Option<String>,
    /// `expires_after[seconds]`.
    pub seconds: Option<String>,
}

impl UploadFields {
    /// Sets a field.
    ///
    /// # Errors
    /// A 400 for a field that uploads do not have.
    pub fn set(&mut self, name: &str, value: String) -> Result<(), ApiError> {
        let place = match name {
            "purpose" => &mut self.purpose,
            "expires_after" => &mut self.expires_after,
            "expires_after[anchor]" => &mut self.anchor,
            "expires_after[seconds]" => &mut self.seconds,
            _ => {
                let name = crate::check::clip(name);
                let message = format!("Unrecognized request argument supplied: {name}");
                return Err(ApiError::new(400, "invalid_request_error", "unknown_parameter", message).at(name));
            }
        };
        *place = Some(value);
        Ok(())
    }

    /// What the file is for, and the seconds after which it ends, where the client says so.
    ///
    /// # Errors
    /// A 400 that names the field.
    pub fn checked(&self) -> Result<(FilePurpose, Option<i64>), ApiError> {
        let purpose = self.purpose.as_deref().ok_or_else(|| missing("purpose"))?;
        Ok((FilePurpose::of_upload(purpose)?, self.seconds()?))
    }

    fn seconds(&self) -> Result<Option<i64>, ApiError> {
        let end = match (&self.expires_after, &self.anchor, &self.seconds) {
            (None, None, None) => return Ok(None),
            (Some(json), _, _) => serde_json::from_str(json).map_err(|_| {
                ApiError::invalid(
                    "expires_after",
                    "Invalid 'expires_after': an object of 'anchor' and 'seconds' is expected.",
                )
            })?,
            (None, anchor, seconds) => ExpiresAfter {
                anchor: anchor.clone().ok_or_else(|| missing("expires_after.anchor"))?,
                seconds: seconds.as_deref().ok_or_else(|| missing("expires_after.seconds"))?.parse().map_err(|_| {
                    ApiError::invalid(
                        "expires_after.seconds",
                        "Invalid 'expires_after.seconds': an integer is expected.",
                    )
                })?,
            },
        };
        end.validate("expires_after")?;
        Ok(Some(end.seconds))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_says_when_a_file_ends_in_either_way() {
        let form = |fields: &[(&str, &str)]| {
            let mut form = UploadFields::default();
            for (name, value) in fields {
                form.set(name, (*value).to_owned())?;
            }
            form.checked()
        };
        let vision = Ok((FilePurpose::Vision, Some(7200)));
        let purpose = ("purpose", "vision");
        let brackets = [purpose, ("expires_after[anchor]", "created_at"), ("expires_after[seconds]", "7200")];
        assert_eq!(form(&brackets), vision);
        assert_eq!(form(&[purpose, ("expires_after", r#"{"anchor": "created_at", "seconds": 7200}"#)]), vision);
        assert_eq!(form(&[purpose]), Ok((FilePurpose::Vision, None)));
        for (fields, param) in [
            (vec![], "purpose"),
            (brackets[..2].to_vec(), "expires_after.seconds"),
            (vec![brackets[0], brackets[2]], "expires_after.anchor"),
            (vec![brackets[0], brackets[1], ("expires_after[seconds]", "1e9")], "expires_after.seconds"),
            (vec![purpose, ("expires_after", "7200")], "expires_after"),
            (vec![purpose, ("expires_after", r#"{"anchor": "created_at", "seconds": 1}"#)], "expires_after.seconds"),
            (vec![("bogus", "1")], "bogus"),
        ] {
            let error = form(&fields).unwrap_err();
            assert_eq!((error.status, error.param.as_deref()), (400, Some(param)), "{fields:?}");
        }
    }

    #[test]
    fn purposes_are_written_as_they_are_read() {
        for (text, purpose) in PURPOSES {
            let read = FilePurpose::of_upload(text);
            match purpose {
                Some(purpose) => {
                    assert_eq!(read, Ok(purpose));
                    assert_eq!(serde_json::to_value(purpose).unwrap(), purpose.as_str());
                }
                None => assert_eq!(read.unwrap_err().code.as_deref(), Some("unsupported_value")),
            }
        }
        let error = FilePurpose::of_upload("batch_output").unwrap_err();
        assert_eq!((error.status, error.param.as_deref()), (400, Some("purpose")));
        assert!(error.message.contains("Supported values are: 'assistants'"), "{}", error.message);
    }

    #[test]
    fn an_end_has_an_anchor_and_a_range() {
        let end = |anchor: &str, seconds| ExpiresAfter { anchor: anchor.into(), seconds }.validate("expires_after");
        assert!(end("created_at", 3600).is_ok());
        assert_eq!(end("now", 3600).unwrap_err().param.as_deref(), Some("expires_after.anchor"));
        for seconds in [3599, 2_592_001, i64::MIN] {
            assert_eq!(end("created_at", seconds).unwrap_err().param.as_deref(), Some("expires_after.seconds"));
        }
    }
}
