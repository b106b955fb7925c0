//! JSON schemas that clients send: their shape is checked here, so that a mistake is named with its place; whether a
//! schema can be enforced is the engine's to say.

use serde_json::{Map, Value};

const TYPES: [&str; 7] = ["string", "number", "integer", "boolean", "object", "array", "null"];
/// Objects, properties and values of enumerations in one schema. OpenAI allows 5,000 properties and 1,000 values.
const MAX_SIZE: usize = 20_000;

/// What is wrong with a schema, and where (`properties.x.type`; empty at the top).
#[derive(Debug, PartialEq, Eq)]
pub struct Mistake {
    /// The place in the schema.
    pub at: String,
    /// What is wrong.
    pub what: String,
}

/// Checks a schema. serde_json's own limit of 128 levels bounds the recursion.
///
/// # Errors
/// The first mistake.
pub fn check(schema: &Value) -> Result<(), Mistake> {
    let mut left = MAX_SIZE;
    value(schema, &mut Vec::new(), &mut left)
}

type Place<'a> = Vec<&'a str>;

fn wrong<T>(at: &Place, what: impl Into<String>) -> Result<T, Mistake> {
    Err(Mistake { at: at.join("."), what: what.into() })
}

fn value<'a>(schema: &'a Value, at: &mut Place<'a>, left: &mut usize) -> Result<(), Mistake> {
    if *left == 0 {
        return wrong(at, "the schema is too large");
    }
    *left -= 1;
    match schema {
        Value::Bool(_) => Ok(()),
        Value::Object(map) => object(map, at, left),
        _ => wrong(at, "a schema is an object or a boolean"),
    }
}

fn object<'a>(map: &'a Map<String, Value>, at: &mut Place<'a>, left: &mut usize) -> Result<(), Mistake> {
    for (key, item) in map {
        at.push(key);
        match key.as_str() {
            "type" => kinds(item, at)?,
            "properties" | "$defs" | "definitions" | "patternProperties" => {
                let Value::Object(members) = item else { return wrong(at, "an object of schemas is expected") };
                for (name, member) in members {
                    at.push(name);
                    value(member, at, left)?;
                    at.pop();
                }
            }
            "items" if item.is_array() => each(item, at, left)?,
            "items" | "additionalProperties" | "not" | "contains" | "propertyNames" | "if" | "then" | "else" => {
                value(item, at, left)?
            }
            "anyOf" | "oneOf" | "allOf" | "prefixItems" => match item {
                Value::Array(all) if !all.is_empty() || key == "prefixItems" => each(item, at, left)?,
                _ => return wrong(at, "a list of schemas is expected"),
            },
            "required" => match item {
                Value::Array(all) if all.iter().all(Value::is_string) => {}
                _ => return wrong(at, "a list of property names is expected"),
            },
            "enum" => match item {
                Value::Array(all) if !all.is_empty() => *left = left.saturating_sub(all.len()),
                _ => return wrong(at, "a list of values is expected"),
            },
            "$ref" | "pattern" | "format" if !item.is_string() => return wrong(at, "a string is expected"),
            "minLength" | "maxLength" | "minItems" | "maxItems" | "minProperties" | "maxProperties"
                if !item.is_u64() =>
            {
                return wrong(at, "a whole number is expected");
            }
            "minimum" | "maximum" | "exclusiveMinimum" | "exclusiveMaximum" | "multipleOf"
                if !(item.is_number() || item.is_boolean()) =>
            {
                return wrong(at, "a number is expected");
            }
            _ => {}
        }
        at.pop();
    }
    Ok(())
}

fn each<'a>(items: &'a Value, at: &mut Place<'a>, left: &mut usize) -> Result<(), Mistake> {
    items.as_array().into_iter().flatten().try_for_each(|item| value(item, at, left))
}

fn kinds(item: &Value, at: &Place) -> Result<(), Mistake> {
    let known = |v: &Value| v.as_str().is_some_and(|t| TYPES.contains(&t));
    match item {
        Value::Array(all) if !all.is_empty() && all.iter().all(known) => Ok(()),
        one if known(one) => Ok(()),
        Value::String(text) => {
            let text: String = text.chars().take(40).collect();
            wrong(at, format!("'{text}' is not a type; known are {}", TYPES.join(", ")))
        }
        _ => wrong(at, format!("a type is expected: {}", TYPES.join(", "))),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::check;

    #[test]
    fn mistakes_are_named_with_their_place() {
        for (schema, at) in [
            (json!([]), ""),
            (json!({"type": "banana"}), "type"),
            (json!({"properties": {"x": {"type": 5}}}), "properties.x.type"),
            (json!({"properties": []}), "properties"),
            (json!({"items": {"anyOf": []}}), "items.anyOf"),
            (json!({"required": "x"}), "required"),
            (json!({"enum": []}), "enum"),
            (json!({"$defs": {"a": {"maxLength": -1}}}), "$defs.a.maxLength"),
            (json!({"additionalProperties": "no"}), "additionalProperties"),
            (json!({"prefixItems": [{"type": "int"}]}), "prefixItems.type"),
        ] {
            assert_eq!(check(&schema).unwrap_err().at, at, "{schema}");
        }
        let good = json!({"type": ["object", "null"], "properties": {"type": {"enum": ["a"]}, "n": {"type": "integer", "minimum": 1}},
            "required": ["type"], "additionalProperties": false, "$defs": {"d": true}, "allOf": [{"$ref": "#/$defs/d"}]});
        assert_eq!(check(&good), Ok(()));
    }

    #[test]
    fn size_is_bounded() {
        let many: serde_json::Map<_, _> = (0..30_000).map(|i| (format!("p{i}"), json!({}))).collect();
        assert_eq!(check(&json!({"properties": many})).unwrap_err().what, "the schema is too large");
    }
}
