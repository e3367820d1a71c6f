#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| corelog_fuzz::flash_image(data));
