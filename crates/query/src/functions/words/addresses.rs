//! Parts of addresses (URLs).

use std::borrow::Cow;

use datafusion::common::Result;
use zepto_common::types::ColumnType;

use super::{hosts, letters};
use crate::functions::scalar::{Arguments, Scalar};
use crate::functions::text::map;
use crate::functions::{Plan, Row, row};

const STRING: fn(&Arguments<'_>) -> Result<ColumnType> = |_| Ok(ColumnType::String);

macro_rules! of_text {
    ($name:literal, $about:literal, $body:expr) => {
        row(
            $name,
            &[],
            concat!($name, "(s)"),
            $about,
            Plan::Scalar(Scalar::pure((1, 1), STRING, |call| {
                map(call, |text, _| Ok(Cow::Owned($body(text).to_owned())))
            })),
        )
    };
}

/// Addresses.
pub(crate) const ROWS: &[Row] = &[
    of_text!("protocol", "The protocol of an address.", hosts::scheme),
    of_text!("domain", "The host of an address.", hosts::host),
    of_text!("path", "The path of an address.", hosts::path),
    of_text!("domainWithoutWWW", "The host without its www.", hosts::without_www),
    of_text!("topLevelDomain", "What stands behind the host's last dot.", hosts::top_level),
    of_text!("netloc", "Who and where: user, host and port.", hosts::netloc),
    of_text!("pathFull", "The path with all that follows it.", hosts::path_with_rest),
    of_text!("queryString", "What stands between ? and #.", |url: &str| letters::parts(url).1.to_owned()),
    of_text!("fragment", "What stands behind #.", |url: &str| letters::parts(url).2.to_owned()),
    of_text!("cutQueryString", "The address without its ? part.", letters::without_query),
    of_text!("cutFragment", "The address without its # part.", |url: &str| url
        .split('#')
        .next()
        .unwrap_or_default()
        .to_owned()),
    of_text!("cutQueryStringAndFragment", "The address up to ? or #.", |url: &str| letters::parts(url)
        .0
        .to_owned()),
    row(
        "extractURLParameter",
        &[],
        "extractURLParameter(url, name)",
        "A parameter of an address.",
        Plan::Scalar(Scalar::pure((2, 2), STRING, |call| {
            let names = call.texts(1)?;
            map(call, |url, row| {
                let found = letters::parameters(url).find(|(name, _)| *name == names.value(row));
                Ok(Cow::Owned(found.map_or(String::new(), |(_, value)| value.to_owned())))
            })
        })),
    ),
];
