use corelog_config::device_map::DeviceMap;
use corelog_config::store::{end, find, records, Compaction};

/// A configuration store of any content, and the bytes as a device map.
pub fn configuration(data: &[u8]) {
    let mut live = std::collections::BTreeMap::new();
    let mut offset = 0;
    for record in records(data).map_while(Result::ok) {
        assert_eq!(record.offset, offset);
        offset += 5 + record.key.len() + record.value.len();
        live.insert(record.key, record.value);
    }
    assert!(offset <= data.len());
    if let Ok(end) = end(data) {
        assert_eq!(end, offset);
    }
    live.retain(|_, value| !value.is_empty());
    for (key, value) in &live {
        assert_eq!(find(data, key), Some(*value));
    }
    // Writing the live records anew keeps them all and heals what was damaged.
    let (mut image, mut compaction) = (data.to_vec(), Compaction::default());
    for _ in 0..=data.len() {
        if !compaction.step(&mut image) {
            break;
        }
    }
    let size = compaction.finish(&mut image);
    assert!(size <= offset);
    if data.len() - size >= 4 {
        assert_eq!(end(&image), Ok(size));
    }
    for (key, value) in &live {
        assert_eq!(find(&image, key), Some(*value));
    }
    assert_eq!(records(&image[..size]).count(), live.len());
    if let Some(map) = DeviceMap::parse(data) {
        let _ = map.name(u32::from(data[0]));
    }
}
