//! The wire bytes in tests/vectors, shared with the host's tests. Included by path into the test programs.

#![allow(dead_code, reason = "each test program uses some of it")]

use serde_json::Value;

pub fn load(file: &str) -> Value {
    let path = format!("{}/../../tests/vectors/{file}", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{path}: {error}"))
}

pub fn entries<'a>(file: &'a Value, list: &str) -> &'a Vec<Value> {
    let entries = file[list].as_array().unwrap_or_else(|| panic!("no list {list}"));
    assert!(!entries.is_empty());
    entries
}

pub fn unhex(hex: &Value) -> Vec<u8> {
    let hex = hex.as_str().expect("hex");
    (0..hex.len()).step_by(2).map(|i| u8::from_str_radix(&hex[i..i + 2], 16).expect("hex")).collect()
}

pub fn bytes(entry: &Value) -> Vec<u8> {
    unhex(&entry["hex"])
}
