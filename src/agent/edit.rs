//! stub
use serde_json::{Map, Value};
/// e
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct EditError(String);
/// c
pub fn create(_: Map<String, Value>, _: &Map<String, Value>) -> Result<String, EditError> { Err(EditError(String::new())) }
/// m
pub fn merge(t: &str, _: &Map<String, Value>) -> Result<String, EditError> { Ok(t.to_owned()) }
