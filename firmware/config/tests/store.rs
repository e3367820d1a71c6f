//! The store's format against examples and a naive model.

use std::collections::BTreeMap;

use corelog_config::store::{encode, end, find, records, Compaction, Damaged};

/// The image of the format's description, of a store with two keys.
const IMAGE: &str = "0000000e69700031 2e322e332e34 00000013 6c6f675f6c6576656c 00 4445425547 ffffffff";

fn bytes(hex: &str) -> Vec<u8> {
    let digits: String = hex.split_whitespace().collect();
    (0..digits.len()).step_by(2).map(|i| u8::from_str_radix(&digits[i..i + 2], 16).unwrap()).collect()
}

fn append(image: &mut [u8], key: &[u8], value: &[u8]) -> Option<()> {
    let at = end(image).unwrap();
    encode(key, value, &mut image[at..]).map(|_| ())
}

fn compact(image: &mut [u8]) -> usize {
    let mut compaction = Compaction::default();
    while compaction.step(image) {}
    compaction.finish(image)
}

#[test]
fn known_image_is_read_and_written_byte_for_byte() {
    let image = bytes(IMAGE);
    assert_eq!(find(&image, b"ip"), Some(&b"1.2.3.4"[..]));
    assert_eq!(find(&image, b"log_level"), Some(&b"DEBUG"[..]));
    assert_eq!(find(&image, b"log"), None);
    assert_eq!(end(&image), Ok(image.len() - 4));
    let mut made = vec![0xFF; image.len()];
    append(&mut made, b"ip", b"1.2.3.4").unwrap();
    append(&mut made, b"log_level", b"DEBUG").unwrap();
    assert_eq!(made, image);
}

#[test]
fn damage_ends_the_list_but_what_stands_before_it_is_kept() {
    for damage in [[0, 0, 0, 0], [0, 0, 0, 3], [0, 0, 0, 4], [0x7F, 0xFF, 0xFF, 0xFF], [0xFF, 0xFF, 0xFF, 0xFE]] {
        let mut image = bytes(IMAGE);
        image[14..18].copy_from_slice(&damage);
        assert_eq!(end(&image), Err(Damaged { offset: 14 }));
        assert_eq!(find(&image, b"ip"), Some(&b"1.2.3.4"[..]));
        assert_eq!(compact(&mut image), 14);
        assert_eq!(end(&image), Ok(14));
    }
}

#[test]
fn a_record_without_zero_byte_is_damage() {
    let mut image = bytes(IMAGE);
    image[6] = b'x';
    assert_eq!(end(&image), Err(Damaged { offset: 0 }));
}

#[test]
fn keys_that_the_format_cannot_hold_are_refused() {
    let mut out = [0; 32];
    assert_eq!(encode(b"", b"v", &mut out), None);
    assert_eq!(encode(b"a\0b", b"v", &mut out), None);
    assert_eq!(encode(b"key", &[1; 25], &mut out), None);
    assert_eq!(encode(b"key", &[1; 24], &mut out), Some(32));
}

#[test]
fn any_bytes_are_read_without_panic() {
    let mut state = 1u32;
    for _ in 0..20_000 {
        let mut image = [0u8; 40];
        for byte in &mut image {
            state = state.wrapping_mul(1664525).wrapping_add(1013904223);
            // Mostly small bytes, so that sizes often make sense.
            *byte = if state >> 30 == 0 { (state >> 16) as u8 } else { (state >> 20) as u8 & 7 };
        }
        let valid = records(&image).take_while(Result::is_ok).count();
        let before: BTreeMap<Vec<u8>, Vec<u8>> = records(&image)
            .map_while(Result::ok)
            .map(|record| (record.key.to_vec(), record.value.to_vec()))
            .filter(|(_, value)| !value.is_empty())
            .collect();
        assert!(valid <= 8);
        let live: Vec<_> = before.iter().filter(|(key, value)| find(&image, key) == Some(&value[..])).collect();
        let live: BTreeMap<Vec<u8>, Vec<u8>> = live.into_iter().map(|(k, v)| (k.clone(), v.clone())).collect();
        compact(&mut image);
        for (key, value) in live {
            assert_eq!(find(&image, &key), Some(&value[..]));
        }
        assert!(end(&image).is_ok());
    }
}

#[test]
fn store_equals_a_map_under_writes_removals_and_compactions() {
    let mut image = vec![0xFF; 300];
    let mut model = BTreeMap::new();
    let mut state = 7u32;
    let mut compactions = 0;
    for round in 0..5_000u32 {
        state = state.wrapping_mul(1664525).wrapping_add(1013904223);
        let key = vec![b'a' + (state >> 28) as u8 % 6];
        let value = vec![b'v'; (state >> 20) as usize % 20];
        if append(&mut image, &key, &value).is_none() {
            compact(&mut image);
            compactions += 1;
            append(&mut image, &key, &value).unwrap_or_else(|| panic!("round {round}: no room after compaction"));
        }
        if value.is_empty() {
            model.remove(&key);
        } else {
            model.insert(key, value);
        }
        for key in b'a'..=b'f' {
            assert_eq!(find(&image, &[key]), model.get(&vec![key]).map(Vec::as_slice), "round {round}");
        }
    }
    assert!(compactions > 100);
}
