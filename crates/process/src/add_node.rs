//! Nodes named by hand, `id:host:httpport`: where names do not resolve. Its RPC port is the HTTP port plus the offset.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// One of them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct AddNode {
    /// Its id.
    pub id: u32,
    /// Name or address of its host; an IPv6 address in brackets.
    pub host: String,
    /// Its HTTP port.
    pub http_port: u16,
}

impl AddNode {
    /// Its address for RPC, if that port exists.
    #[must_use]
    pub fn rpc(&self, offset: u16) -> Option<String> {
        Some(format!("{}:{}", self.host, self.http_port.checked_add(offset)?))
    }
}

impl FromStr for AddNode {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let fault = || format!("{text:?} is not id:host:httpport");
        let (id, address) = text.trim().split_once(':').ok_or_else(fault)?;
        let (host, port) = address.rsplit_once(':').ok_or_else(fault)?;
        let id = id.parse().map_err(|_| fault())?;
        let http_port: u16 = port.parse().map_err(|_| fault())?;
        let bare_v6 = host.contains(':') && !(host.starts_with('[') && host.ends_with(']'));
        if host.is_empty() || bare_v6 || http_port == 0 {
            return Err(fault());
        }
        Ok(Self { id, host: host.to_owned(), http_port })
    }
}

impl TryFrom<String> for AddNode {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<AddNode> for String {
    fn from(node: AddNode) -> Self {
        node.to_string()
    }
}

impl fmt::Display for AddNode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.id, self.host, self.http_port)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_is_read_as_it_is_written_and_half_of_one_is_refused() {
        for good in ["0:zeptodb-0.zeptodb-headless:8123", "7:10.0.0.1:9000", "100000:[::1]:8124"] {
            assert_eq!(good.parse::<AddNode>().unwrap().to_string(), good);
        }
        for bad in ["", "1", "1:host", "x:host:1", "1::8123", "1:host:0", "1:host:70000", "1:::1:8123"] {
            assert!(bad.parse::<AddNode>().is_err(), "{bad}");
        }
        let node: AddNode = "1:h:8123".parse().unwrap();
        assert_eq!(node.rpc(100).unwrap(), "h:8223");
        assert_eq!("1:h:65500".parse::<AddNode>().unwrap().rpc(100), None);
    }
}
