//! What requests of all kinds are checked for, in OpenAI's words.

use indexmap::IndexMap;

use crate::{ApiError, chat::ChatRequest, completions::CompletionRequest, responses::ResponseRequest};

/// Nothing, or what is wrong.
pub type Checked = Result<(), ApiError>;

/// How hard a model may think.
pub const EFFORTS: [&str; 7] = ["none", "minimal", "low", "medium", "high", "xhigh", "max"];

/// A whole number's range.
pub fn whole(param: &str, value: Option<i64>, low: i64, high: i64) -> Checked {
    let (bound, code) = match value {
        Some(v) if v > high => {
            (format!("above maximum value. Expected a value <= {high}, but got {v} instead"), "integer_above_max_value")
        }
        Some(v) if v < low => {
            (format!("below minimum value. Expected a value >= {low}, but got {v} instead"), "integer_below_min_value")
        }
        _ => return Ok(()),
    };
    Err(ApiError::new(400, "invalid_request_error", code, format!("Invalid '{param}': integer {bound}.")).at(param))
}

/// A number's range.
pub fn range(param: &str, value: Option<f32>, low: f32, high: f32) -> Checked {
    match value {
        Some(v) if !(low..=high).contains(&v) => {
            let bound = if v > high {
                format!("decimal above maximum value. Expected a value <= {high}")
            } else {
                format!("decimal below minimum value. Expected a value >= {low}")
            };
            let code = if v > high { "decimal_above_max_value" } else { "decimal_below_min_value" };
            Err(ApiError::new(
                400,
                "invalid_request_error",
                code,
                format!("Invalid '{param}': {bound}, but got {v} instead."),
            )
            .at(param))
        }
        _ => Ok(()),
    }
}

/// One of an enumeration's texts.
pub fn one_of(param: &str, value: Option<&str>, known: &[&str]) -> Checked {
    match value {
        Some(v) if !known.contains(&v) => {
            let quoted: Vec<String> = known.iter().map(|k| format!("'{k}'")).collect();
            let list = match quoted.split_last() {
                Some((last, rest)) if !rest.is_empty() => format!("{}, and {last}", rest.join(", ")),
                _ => quoted.join(", "),
            };
            Err(ApiError::invalid(param, format!("Invalid value: '{}'. Supported values are: {list}.", clip(v))))
        }
        _ => Ok(()),
    }
}

/// What all of OpenAI's requests say of sampling, under the same names and within the same bounds.
#[derive(Debug, Clone, Copy, Default)]
#[allow(missing_docs)]
pub struct SamplingFields {
    pub temperature: Option<f32>,
    pub top_p: Option<f32>,
    pub min_p: Option<f32>,
    pub frequency_penalty: Option<f32>,
    pub presence_penalty: Option<f32>,
    pub repetition_penalty: Option<f32>,
    /// 0 and -1 mean all.
    pub top_k: Option<i64>,
}

impl SamplingFields {
    /// The bounds.
    pub(crate) fn check(&self) -> Checked {
        range("temperature", self.temperature, 0.0, 2.0)?;
        range("top_p", self.top_p, 0.0, 1.0)?;
        range("min_p", self.min_p, 0.0, 1.0)?;
        range("frequency_penalty", self.frequency_penalty, -2.0, 2.0)?;
        range("presence_penalty", self.presence_penalty, -2.0, 2.0)?;
        range("repetition_penalty", self.repetition_penalty, 0.01, 10.0)?;
        whole("top_k", self.top_k, -1, i64::from(u32::MAX))
    }
}

/// Requests gather these fields, which have the same names in each.
macro_rules! sampled {
    ($($request:ty),*) => {$(
        impl $request {
            /// What it says of sampling.
            #[must_use]
            pub const fn sampling(&self) -> SamplingFields {
                SamplingFields {
                    temperature: self.temperature,
                    top_p: self.top_p,
                    min_p: self.min_p,
                    frequency_penalty: self.frequency_penalty,
                    presence_penalty: self.presence_penalty,
                    repetition_penalty: self.repetition_penalty,
                    top_k: self.top_k,
                }
            }
        }
    )*};
}

sampled!(ChatRequest, CompletionRequest, ResponseRequest);

/// A client's text, short enough to repeat.
pub fn clip(text: &str) -> String {
    text.chars().take(64).collect()
}

/// A field that must be there.
pub fn missing(param: &str) -> ApiError {
    let message = format!("Missing required parameter: '{param}'.");
    ApiError::new(400, "invalid_request_error", "missing_required_parameter", message).at(param)
}

/// A field that would change the answer and cannot be done here.
pub fn unsupported(param: &str, why: &str) -> ApiError {
    let message = format!("Unsupported parameter: '{param}' {why}");
    ApiError::new(400, "invalid_request_error", "unsupported_parameter", message).at(param)
}

/// A value of a part that cannot be done here.
pub fn unsupported_value(path: &str, why: &str) -> ApiError {
    let message = format!("Unsupported value: '{path}' {why}");
    ApiError::new(400, "invalid_request_error", "unsupported_value", message).at(path)
}

/// At most 16 pairs, with keys of up to 64 and values of up to 512 characters.
pub fn metadata(pairs: Option<&IndexMap<String, String>>) -> Checked {
    let long = |(k, v): (&String, &String)| k.chars().count() > 64 || v.chars().count() > 512;
    match pairs {
        Some(pairs) if pairs.len() > 16 || pairs.iter().any(long) => Err(ApiError::invalid(
            "metadata",
            "Invalid 'metadata': at most 16 pairs with keys of up to 64 and values of up to 512 characters.",
        )),
        _ => Ok(()),
    }
}

/// An identifier of at most 64 characters.
pub fn short(param: &str, text: Option<&str>) -> Checked {
    if text.is_none_or(|t| t.chars().count() <= 64) {
        return Ok(());
    }
    let message = format!("Invalid '{param}': string too long. Expected a string with maximum length 64.");
    Err(ApiError::new(400, "invalid_request_error", "string_above_max_length", message).at(param))
}
