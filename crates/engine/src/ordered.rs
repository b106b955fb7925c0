//! JSON for templates with its keys in their order, as Python has it: minijinja's own maps are sorted, and a model was
//! trained on `{"type": …, "function": …}`.

use std::sync::Arc;

use indexmap::IndexMap;
use minijinja::value::{Enumerator, Object, ObjectRepr, Value as Jinja};
use serde_json::Value;

#[derive(Debug)]
struct Ordered(IndexMap<String, Jinja>);

impl Object for Ordered {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Map
    }

    fn get_value(self: &Arc<Self>, key: &Jinja) -> Option<Jinja> {
        self.0.get(key.as_str()?).cloned()
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        Enumerator::Values(self.0.keys().map(|k| Jinja::from(k.as_str())).collect())
    }
}

/// A value as a template sees it.
pub fn value(json: &Value) -> Jinja {
    match json {
        Value::Null => Jinja::from(()),
        Value::Bool(b) => Jinja::from(*b),
        Value::Number(n) => match (n.as_i64(), n.as_u64()) {
            (Some(n), _) => Jinja::from(n),
            (None, Some(n)) => Jinja::from(n),
            _ => Jinja::from(n.as_f64().unwrap_or_default()),
        },
        Value::String(text) => Jinja::from(text.as_str()),
        Value::Array(items) => Jinja::from(items.iter().map(value).collect::<Vec<_>>()),
        Value::Object(map) => Jinja::from_object(Ordered(map.iter().map(|(k, v)| (k.clone(), value(v))).collect())),
    }
}
