use super::*;

/// ClickHouse's `exceptionCodeToHTTPStatus`, whole: every number that is not 500.
const STATUSES: &[(u16, &[u32])] = &[
    (401, &[194]),
    (403, &[192, 193, 497, 512, 516]),
    (
        400,
        &[
            6, 8, 15, 25, 26, 27, 36, 37, 38, 41, 44, 53, 62, 72, 117, 123, 167, 168, 223, 321, 376, 427,
            441, 675, 676,
        ],
    ),
    (404, &[46, 47, 50, 56, 60, 63, 73, 78, 81, 115, 152, 336, 511]),
    (408, &[159]),
    (411, &[381]),
    (413, &[229]),
    (415, &[779]),
    (501, &[48]),
    (503, &[76, 209, 439]),
];

/// Where we say more than 500: overload is 429 and what passes by itself is 503, both for drivers and balancers
/// that then try again; an encoding that nobody knows is the client's fault.
const OURS: &[(u16, &[u32])] =
    &[(429, &[202, 252, 745]), (503, &[75, 204, 242, 243, 279, 285]), (400, &[89])];

fn listed(table: &[(u16, &[u32])], number: u32) -> Option<u16> {
    table.iter().find(|(_, numbers)| numbers.contains(&number)).map(|(status, _)| *status)
}

#[test]
fn every_code_has_clickhouses_status_or_a_listed_one() {
    for code in ErrorCode::ALL {
        let number = code.number();
        let wanted = listed(OURS, number).or_else(|| listed(STATUSES, number)).unwrap_or(500);
        assert_eq!(code.http_status(), wanted, "{number} {}", code.name());
    }
}

#[test]
fn every_code_of_the_status_table_exists() {
    let known = |number: &u32| ErrorCode::ALL.iter().any(|code| code.number() == *number);
    for (status, numbers) in STATUSES.iter().chain(OURS) {
        let missing: Vec<_> = numbers.iter().filter(|number| !known(number)).collect();
        assert!(missing.is_empty(), "{status}: {missing:?}");
    }
}

#[test]
fn no_number_and_no_name_is_given_twice() {
    let mut numbers: Vec<_> = ErrorCode::ALL.iter().map(|code| code.number()).collect();
    let mut names: Vec<_> = ErrorCode::ALL.iter().map(|code| code.name()).collect();
    numbers.sort_unstable();
    names.sort_unstable();
    numbers.dedup();
    names.dedup();
    assert_eq!((numbers.len(), names.len()), (ErrorCode::ALL.len(), ErrorCode::ALL.len()));
}
