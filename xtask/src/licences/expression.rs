//! SPDX licence expressions: `A OR B`, `A AND (B OR C)`, `A WITH exception`, and the older `A/B`.

/// Whether an expression can be met with allowed licences only; None when it cannot be read.
///
/// A licence with an exception is asked for as `A WITH exception` and, since an exception only gives more
/// freedom, as `A`.
pub(super) fn holds(text: &str, allowed: &dyn Fn(&str) -> bool) -> Option<bool> {
    let spaced = text.replace('(', " ( ").replace(')', " ) ").replace('/', " OR ");
    let words: Vec<&str> = spaced.split_whitespace().collect();
    let mut parser = Parser { words: &words, at: 0, allowed };
    let value = parser.any()?;
    (parser.at == words.len()).then_some(value)
}

struct Parser<'a> {
    words: &'a [&'a str],
    at: usize,
    allowed: &'a dyn Fn(&str) -> bool,
}

impl Parser<'_> {
    /// `all OR all …`
    fn any(&mut self) -> Option<bool> {
        let mut value = self.all()?;
        while self.take("OR") {
            value |= self.all()?;
        }
        Some(value)
    }

    /// `one AND one …`
    fn all(&mut self) -> Option<bool> {
        let mut value = self.one()?;
        while self.take("AND") {
            value &= self.one()?;
        }
        Some(value)
    }

    fn one(&mut self) -> Option<bool> {
        if self.take("(") {
            let value = self.any()?;
            return self.take(")").then_some(value);
        }
        let licence = *self.words.get(self.at)?;
        if ["OR", "AND", "WITH", ")"].contains(&licence) {
            return None;
        }
        self.at += 1;
        let plain = (self.allowed)(licence);
        if self.take("WITH") {
            let exception = *self.words.get(self.at)?;
            self.at += 1;
            return Some(plain || (self.allowed)(&format!("{licence} WITH {exception}")));
        }
        Some(plain)
    }

    fn take(&mut self, word: &str) -> bool {
        let found = self.words.get(self.at) == Some(&word);
        self.at += usize::from(found);
        found
    }
}
