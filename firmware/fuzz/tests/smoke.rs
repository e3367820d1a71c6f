//! Every fuzz target with seeded random bytes and with damaged vectors, where no fuzzer runs.

#[path = "../../testing/choices.rs"]
mod choices;

use choices::{Choices, Random};

/// All bytes of a file of vectors, with zeros between so that a damaged start does not hide the rest.
fn vectors(file: &str, list: &str) -> Vec<Vec<u8>> {
    let path = format!("{}/../../tests/vectors/{file}", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
    let section = text.split(&format!("\"{list}\": [\n")).nth(1).unwrap_or_else(|| panic!("no {list} in {file}"));
    let lines = section.split("\n]").next().unwrap_or("").lines();
    let hex = |line: &str| line.split("\"hex\": \"").nth(1)?.split('"').next().map(str::to_owned);
    let bytes =
        |hex: String| (0..hex.len()).step_by(2).filter_map(|i| u8::from_str_radix(&hex[i..i + 2], 16).ok()).collect();
    let found: Vec<Vec<u8>> = lines.filter_map(hex).map(bytes).collect();
    assert!(!found.is_empty());
    found
}

/// `CORELOG_SEED` repeats a run. Half of the inputs are vectors one behind the other with some bytes changed.
fn run(target: fn(&[u8]), vectors: &[Vec<u8>], count: usize, longest: usize) {
    let mut random = Random::new();
    let mut below = |limit: usize| random.below(limit as u32) as usize;
    for n in 0..count {
        let mut data = vec![];
        if n % 2 == 0 && !vectors.is_empty() {
            for _ in 0..1 + below(6) {
                data.extend_from_slice(&vectors[below(vectors.len())]);
            }
            for _ in 0..below(4) {
                let place = below(data.len().max(1));
                if let Some(byte) = data.get_mut(place) {
                    *byte = below(256) as u8;
                }
            }
        } else {
            data = (0..below(longest)).map(|_| below(256) as u8).collect();
        }
        target(&data);
    }
}

#[test]
fn ring_holds_its_promises_on_random_bytes() {
    run(corelog_fuzz::ring, &[], 300, 4000);
}

#[test]
fn recovery_holds_its_promises_on_random_bytes() {
    // Damages of a log rather than garbage: an odd first byte.
    let damaged: Vec<Vec<u8>> = (0..128).map(|n| vec![2 * n + 1, n, 0, n, 0, 0, 0]).collect();
    run(corelog_fuzz::recover, &damaged, 20_000, 200);
}

#[test]
fn management_parser_holds_its_promises_on_damaged_messages() {
    let vectors: Vec<_> = ["handshakes", "requests", "malformed_requests", "bad_requests"]
        .iter()
        .flat_map(|list| vectors("mgmt.json", list))
        .collect();
    run(corelog_fuzz::management, &vectors, 50_000, 200);
}

#[test]
fn session_parser_holds_its_promises_on_damaged_messages() {
    let vectors: Vec<_> =
        ["handshakes", "requests", "programs"].iter().flat_map(|list| vectors("session.json", list)).collect();
    run(corelog_fuzz::session, &vectors, 50_000, 100);
}

#[test]
fn stream_parser_holds_its_promises_on_damaged_frames() {
    let vectors: Vec<_> = ["frames", "streams"].iter().flat_map(|list| vectors("stream.json", list)).collect();
    run(corelog_fuzz::stream, &vectors, 50_000, 200);
}

#[test]
fn configuration_store_holds_its_promises_on_damaged_images() {
    let vectors: Vec<_> = ["stores", "device_maps"].iter().flat_map(|list| vectors("config.json", list)).collect();
    run(corelog_fuzz::configuration, &vectors, 50_000, 200);
}

#[test]
fn aux_frames_hold_their_promises_when_damaged() {
    let vectors: Vec<_> = ["frames", "bad_frames", "calls", "bad_calls"]
        .iter()
        .flat_map(|list| vectors("aux.json", list))
        .filter(|bytes| !bytes.is_empty())
        .collect();
    for vector in &vectors {
        run(corelog_fuzz::aux_frame, std::slice::from_ref(vector), 2000, 100);
    }
}

#[test]
fn log_transport_holds_its_promises_on_random_bytes() {
    run(corelog_fuzz::log_transport, &[], 300, 4000);
}

#[test]
fn relay_tree_holds_its_promises_on_random_bytes() {
    run(corelog_fuzz::relay_tree, &[], 60, 40_000);
}

#[test]
fn relay_takes_damaged_streams_and_its_readers_get_sound_ones() {
    let vectors: Vec<_> = ["frames", "streams"].iter().flat_map(|list| vectors("stream.json", list)).collect();
    let vectors: Vec<_> = vectors.into_iter().map(|bytes| [vec![0], bytes].concat()).collect();
    run(corelog_fuzz::relay_stream, &vectors, 20_000, 4000);
}

#[test]
fn flash_images_are_taken_or_refused_as_the_format_says() {
    run(corelog_fuzz::flash_image, &[], 2000, 200);
}
