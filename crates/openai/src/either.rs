//! Content that is one text or a list of parts.

use std::{fmt, marker::PhantomData};

use serde::{
    Deserialize, Deserializer,
    de::{self, SeqAccess, Visitor, value::SeqAccessDeserializer},
};

/// One text, or parts.
#[derive(Debug, Clone)]
pub enum TextOr<T> {
    /// null, or left out.
    None,
    /// One text.
    Text(String),
    /// Parts.
    Parts(Vec<T>),
}

// Derived, it would ask for a default part.
#[allow(clippy::derivable_impls)]
impl<T> Default for TextOr<T> {
    fn default() -> Self {
        Self::None
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for TextOr<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either<T>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for Either<T> {
            type Value = TextOr<T>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string or an array of content parts")
            }
            fn visit_unit<E: de::Error>(self) -> Result<TextOr<T>, E> {
                Ok(TextOr::None)
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<TextOr<T>, E> {
                Ok(TextOr::Text(text.to_owned()))
            }
            fn visit_string<E: de::Error>(self, text: String) -> Result<TextOr<T>, E> {
                Ok(TextOr::Text(text))
            }
            fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<TextOr<T>, A::Error> {
                Vec::deserialize(SeqAccessDeserializer::new(seq)).map(TextOr::Parts)
            }
        }
        deserializer.deserialize_any(Either(PhantomData))
    }
}
