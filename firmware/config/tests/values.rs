//! Values of single keys.

use core::net::Ipv4Addr;

use corelog_config::address::{gateway, ip, mac, Ip};
use corelog_config::device_map::DeviceMap;
use corelog_config::rtio_clock::{rtio_clock, RtioClock};

#[test]
fn device_map_names_channels_by_destination() {
    let value = b"\x02\0\0\0\x05\0\0\0\x04\0\0\0ttl0\x01\0\x02\0\x04\0\0\0ttl1";
    let map = DeviceMap::parse(value).unwrap();
    assert_eq!(map.name(5), Some("ttl0"));
    assert_eq!(map.name(0x2_0001), Some("ttl1"));
    assert_eq!(map.name(1), None);
    assert_eq!(DeviceMap::EMPTY.name(0), None);
}

#[test]
fn device_map_cut_short_or_with_more_than_it_says_is_refused() {
    let value = b"\x02\0\0\0\x05\0\0\0\x04\0\0\0ttl0\x01\0\x02\0\x04\0\0\0ttl1";
    for length in 0..value.len() {
        assert!(DeviceMap::parse(&value[..length]).is_none(), "length {length}");
    }
    assert!(DeviceMap::parse(&[value.as_slice(), b"x"].concat()).is_none());
    assert!(DeviceMap::parse(b"\xff\xff\xff\xff\x05\0\0\0\xff\xff\xff\xffttl0").is_none());
    assert!(DeviceMap::parse(b"\x01\0\0\0\x05\0\0\0\x01\0\0\0\xff").is_none(), "not UTF-8");
}

#[test]
fn device_map_of_one_destination_comes_in_parts_of_any_size() {
    let entry = |channel: u32, name: &str| {
        [&channel.to_le_bytes()[..], &(name.len() as u32).to_le_bytes(), name.as_bytes()].concat()
    };
    let (one, two) = (entry(0x2_0001, "ttl1"), entry(0x2_0002, "a longer name"));
    let value = [&4u32.to_le_bytes()[..], &entry(5, "x"), &one, &entry(0x3_0001, "y"), &two].concat();
    let expected = [&2u32.to_le_bytes()[..], &one, &two].concat();
    let map = DeviceMap::parse(&value).unwrap();
    for size in 1..=expected.len() + 1 {
        let (mut got, mut out) = (Vec::new(), vec![0; size]);
        loop {
            let (length, more) = map.part(2, got.len(), &mut out);
            got.extend_from_slice(&out[..length]);
            assert_eq!(more, got.len() < expected.len(), "parts of {size}");
            if !more {
                break;
            }
            assert_eq!(length, size);
        }
        assert_eq!(got, expected, "parts of {size}");
    }
    let mut out = [0xff; 8];
    assert_eq!(DeviceMap::EMPTY.part(2, 0, &mut out), (4, false));
    assert_eq!(out[..4], [0; 4]);
}

#[test]
fn addresses() {
    let address = Ipv4Addr::new(192, 168, 1, 70);
    assert_eq!(ip(b"192.168.1.70"), Some(Ip::Static(address, None)));
    assert_eq!(ip(b"192.168.1.70/24\n"), Some(Ip::Static(address, Some(24))));
    assert_eq!(ip(b"use_dhcp"), Some(Ip::Dhcp));
    for bad in ["", "192.168.1", "192.168.1.70/", "192.168.1.70/33", "use dhcp", "::1"] {
        assert_eq!(ip(bad.as_bytes()), None, "{bad}");
    }
    assert_eq!(gateway(b"192.168.1.70"), Some(address));
    assert_eq!(gateway(b"\xff"), None);
}

#[test]
fn mac_addresses() {
    assert_eq!(mac(b"02:00:00:00:00:21"), Some([2, 0, 0, 0, 0, 0x21]));
    assert_eq!(mac(b"aa-BB-cc-dd-ee-ff"), Some([0xaa, 0xbb, 0xcc, 0xdd, 0xee, 0xff]));
    for bad in ["", "02:00:00:00:00", "02:00:00:00:00:21:01", "2:0:0:0:0:21", "01:00:00:00:00:01", "0g:00:00:00:00:01"]
    {
        assert_eq!(mac(bad.as_bytes()), None, "{bad}");
    }
    assert_eq!(mac(b"+2:00:00:00:00:21"), None);
}

#[test]
fn sources_of_125_mhz_are_known_and_those_of_other_frequencies_are_none() {
    let known = [
        ("int_125", RtioClock::Internal),
        ("ext0_synth0_10to125\n", RtioClock::External(10)),
        ("ext0_synth0_80to125", RtioClock::External(80)),
        ("ext0_synth0_100to125", RtioClock::External(100)),
        ("ext0_synth0_125to125", RtioClock::External(125)),
        ("ext0_bypass", RtioClock::Bypass),
        ("ext0_bypass_125", RtioClock::Bypass),
        ("i", RtioClock::Internal),
        ("e", RtioClock::Bypass),
    ];
    for (text, source) in known {
        assert_eq!(rtio_clock(text.as_bytes()), Some(source), "{text}");
    }
    for text in ["", "int_100", "ext0_synth0_10to100", "ext0_bypass_100", "INT_125", "int_125x"] {
        assert_eq!(rtio_clock(text.as_bytes()), None, "{text}");
    }
}
