#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| corelog_fuzz::relay_tree(data));
