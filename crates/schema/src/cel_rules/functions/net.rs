//! `ip('10.0.0.1')`, `cidr('10.0.0.0/8')` and what can be asked of them.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use cel::common::types::{CelInt, CelString, STRING_TYPE, Type};
use cel::common::value::{CowVal, Val};
use cel::{DeclarationError, Env, ExecutionError};

use super::opaque::{Known, known, made};
use super::{Outcome, argument, text, yes_or_no};

static IP: Type = Type::new_unspecified_type("net.IP");
static CIDR: Type = Type::new_unspecified_type("net.CIDR");

impl Known for IpAddr {
    fn cel_type() -> &'static Type {
        &IP
    }
}

/// An address and how many of its bits name the network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Network {
    address: IpAddr,
    bits: u32,
}

impl Known for Network {
    fn cel_type() -> &'static Type {
        &CIDR
    }
}

/// One function for each property of an address: a function of the environment cannot hold anything.
macro_rules! declare {
    ($env:ident, {$($name:literal, $id:literal => $holds:expr,)*}) => {$(
        $env.add_member_overload($name, $id, IP.to_owned(), vec![], |arguments| {
            Ok(yes_or_no($holds(known::<IpAddr>(argument(&arguments, 0)?)?)))
        })?;
    )*};
}

pub(super) fn extend(env: &mut Env) -> Result<(), DeclarationError> {
    let (ip, cidr) = (|| IP.to_owned(), || CIDR.to_owned());
    let one_text = || vec![STRING_TYPE];
    env.add_type(ip())?;
    env.add_type(cidr())?;
    env.add_overload("isIP", "is_ip", one_text(), |arguments| Ok(yes_or_no(parse_ip(text(&arguments, 0)?).is_ok())))?;
    env.add_overload("ip", "string_to_ip", one_text(), |arguments| Ok(made(parse_ip(text(&arguments, 0)?)?)))?;
    env.add_overload("ip.isCanonical", "ip_is_canonical", one_text(), |arguments| {
        let given = text(&arguments, 0)?;
        Ok(yes_or_no(parse_ip(given)?.to_string() == given))
    })?;
    env.add_overload("string", "ip_to_string", vec![ip()], |arguments| {
        Ok(CowVal::owned(CelString::from(known::<IpAddr>(argument(&arguments, 0)?)?.to_string())))
    })?;
    env.add_member_overload("family", "ip_family", ip(), vec![], |arguments| {
        let family = if known::<IpAddr>(argument(&arguments, 0)?)?.is_ipv4() { 4 } else { 6 };
        Ok(CowVal::owned(CelInt::from(family)))
    })?;
    declare!(env, {
        "isUnspecified", "ip_is_unspecified" => IpAddr::is_unspecified,
        "isLoopback", "ip_is_loopback" => IpAddr::is_loopback,
        "isLinkLocalMulticast", "ip_is_link_local_multicast" => is_link_local_multicast,
        "isLinkLocalUnicast", "ip_is_link_local_unicast" => is_link_local_unicast,
        "isGlobalUnicast", "ip_is_global_unicast" => is_global_unicast,
    });
    env.add_overload("isCIDR", "is_cidr", one_text(), |arguments| {
        Ok(yes_or_no(parse_network(text(&arguments, 0)?).is_ok()))
    })?;
    env.add_overload("cidr", "string_to_cidr", one_text(), |arguments| Ok(made(parse_network(text(&arguments, 0)?)?)))?;
    env.add_overload("string", "cidr_to_string", vec![cidr()], |arguments| {
        let network = network(&arguments, 0)?;
        Ok(CowVal::owned(CelString::from(format!("{}/{}", network.address, network.bits))))
    })?;
    for (id, other) in [("cidr_contains_ip", ip()), ("cidr_contains_ip_string", STRING_TYPE)] {
        env.add_member_overload("containsIP", id, cidr(), vec![other], |arguments| contains_ip(&arguments))?;
    }
    for (id, other) in [("cidr_contains_cidr", cidr()), ("cidr_contains_cidr_string", STRING_TYPE)] {
        env.add_member_overload("containsCIDR", id, cidr(), vec![other], |arguments| contains_network(&arguments))?;
    }
    env.add_member_overload("ip", "cidr_ip", cidr(), vec![], |arguments| Ok(made(network(&arguments, 0)?.address)))?;
    env.add_member_overload("masked", "cidr_masked", cidr(), vec![], |arguments| {
        Ok(made(network(&arguments, 0)?.masked()))
    })?;
    env.add_member_overload("prefixLength", "cidr_prefix_length", cidr(), vec![], |arguments| {
        Ok(CowVal::owned(CelInt::from(i64::from(network(&arguments, 0)?.bits))))
    })
}

fn is_link_local_multicast(ip: &IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => ip.octets()[..3] == [224, 0, 0],
        IpAddr::V6(ip) => ip.segments()[0] & 0xff0f == 0xff02,
    }
}

fn is_link_local_unicast(ip: &IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => ip.is_link_local(),
        IpAddr::V6(ip) => ip.is_unicast_link_local(),
    }
}

/// As Go counts it: private addresses too.
fn is_global_unicast(ip: &IpAddr) -> bool {
    let broadcast = *ip == IpAddr::V4(Ipv4Addr::BROADCAST);
    !(broadcast || ip.is_unspecified() || ip.is_loopback() || ip.is_multicast() || is_link_local_unicast(ip))
}

/// Zones and IPv4 addresses inside IPv6 are not taken, as in Kubernetes.
fn parse_ip(text: &str) -> Result<IpAddr, ExecutionError> {
    let wrong = |words: String| ExecutionError::function_error("ip", words);
    let ip: IpAddr = text.parse().map_err(|_| wrong(format!("IP Address {text:?} parse error")))?;
    match ip {
        IpAddr::V6(inside) if inside.to_ipv4_mapped().is_some() => {
            Err(wrong(format!("IPv4-mapped IPv6 address {text:?} is not allowed")))
        }
        _ => Ok(ip),
    }
}

fn parse_network(text: &str) -> Result<Network, ExecutionError> {
    let wrong = || ExecutionError::function_error("cidr", format!("network address parse error: {text:?}"));
    let (address, bits) = text.rsplit_once('/').ok_or_else(wrong)?;
    let address = parse_ip(address)?;
    let plain = bits == "0" || !bits.starts_with('0') && bits.bytes().all(|b| b.is_ascii_digit());
    let bits = bits.parse().ok().filter(|bits| plain && *bits <= width(address)).ok_or_else(wrong)?;
    Ok(Network { address, bits })
}

fn width(address: IpAddr) -> u32 {
    if address.is_ipv4() { 32 } else { 128 }
}

impl Network {
    fn masked(self) -> Self {
        let left = width(self.address) - self.bits;
        let address = match self.address {
            IpAddr::V4(ip) => Ipv4Addr::from_bits(ip.to_bits() & u32::MAX.checked_shl(left).unwrap_or(0)).into(),
            IpAddr::V6(ip) => Ipv6Addr::from_bits(ip.to_bits() & u128::MAX.checked_shl(left).unwrap_or(0)).into(),
        };
        Self { address, bits: self.bits }
    }

    fn contains(self, address: IpAddr) -> bool {
        address.is_ipv4() == self.address.is_ipv4() && Self { address, bits: self.bits }.masked() == self.masked()
    }
}

fn network(arguments: &[CowVal<'_, '_>], index: usize) -> Result<Network, ExecutionError> {
    known::<Network>(argument(arguments, index)?).copied()
}

fn is_text(value: &dyn Val) -> bool {
    value.downcast_ref::<CelString<'_>>().is_some()
}

fn contains_ip<'b, 'v>(arguments: &[CowVal<'b, 'v>]) -> Outcome<'b, 'v> {
    let other = argument(arguments, 1)?;
    let ip = if is_text(other) { parse_ip(text(arguments, 1)?)? } else { *known::<IpAddr>(other)? };
    Ok(yes_or_no(network(arguments, 0)?.contains(ip)))
}

fn contains_network<'b, 'v>(arguments: &[CowVal<'b, 'v>]) -> Outcome<'b, 'v> {
    let this = network(arguments, 0)?;
    let other = argument(arguments, 1)?;
    let other = if is_text(other) { parse_network(text(arguments, 1)?)? } else { network(arguments, 1)? };
    Ok(yes_or_no(this.bits <= other.bits && this.contains(other.address)))
}
