//! Values of `ip`, `ipv4_default_route` and `mac`.

use core::net::Ipv4Addr;

/// The value of `ip`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Ip {
    /// `use_dhcp`
    Dhcp,
    /// `a.b.c.d` or `a.b.c.d/prefix`; the prefix is 0 to 32.
    Static(Ipv4Addr, Option<u8>),
}

/// Parses the value of `ip`.
pub fn ip(value: &[u8]) -> Option<Ip> {
    let text = core::str::from_utf8(value).ok()?.trim_ascii();
    if text == "use_dhcp" {
        return Some(Ip::Dhcp);
    }
    let (address, prefix) = match text.split_once('/') {
        Some((address, prefix)) => (address, Some(prefix.parse().ok().filter(|&prefix: &u8| prefix <= 32)?)),
        None => (text, None),
    };
    Some(Ip::Static(address.parse().ok()?, prefix))
}

/// Parses the value of `ipv4_default_route`.
pub fn gateway(value: &[u8]) -> Option<Ipv4Addr> {
    core::str::from_utf8(value).ok()?.trim_ascii().parse().ok()
}

/// Parses the value of `mac`: six pairs of hexadecimal digits with `:` or `-` between. No group addresses.
pub fn mac(value: &[u8]) -> Option<[u8; 6]> {
    let text = core::str::from_utf8(value).ok()?.trim_ascii();
    let mut mac = [0; 6];
    let mut pairs = text.split([':', '-']);
    for byte in &mut mac {
        let pair = pairs.next().filter(|pair| pair.len() == 2 && pair.bytes().all(|c| c.is_ascii_hexdigit()))?;
        *byte = u8::from_str_radix(pair, 16).ok()?;
    }
    (pairs.next().is_none() && mac[0] & 1 == 0 && mac != [0; 6]).then_some(mac)
}
