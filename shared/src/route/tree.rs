//! Path templates, as a tree of their segments.
//!
//! At every segment a literal goes before a parameter, a parameter with more text around it before one with less, and all
//! of them before a rest: so `/files/new`, `/files/{id}.json`, `/files/{id}` and `/files/{*rest}` stand side by side. A
//! branch that leads nowhere is left again. Each node is visited once at most, whatever the path.

use std::cmp::Reverse;

use super::RouteFault;

/// One segment of a template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Segment<'a> {
    /// Just this.
    Literal(&'a str),
    /// `before{name}after`: takes one character or more of one segment.
    Param {
        before: &'a str,
        name: &'a str,
        after: &'a str,
    },
    /// `{*name}`: takes all that is left, one character or more.
    Rest { name: &'a str },
}

/// The segments of a template that begins with a slash.
///
/// # Errors
/// What is wrong with it.
pub(super) fn segments(template: &str) -> Result<Vec<Segment<'_>>, RouteFault> {
    let texts = template.strip_prefix('/').filter(|rest| !rest.is_empty());
    let mut read = Vec::new();
    for text in texts.into_iter().flat_map(|rest| rest.split('/')) {
        if matches!(read.last(), Some(Segment::Rest { .. })) {
            return Err(RouteFault::RestNotLast);
        }
        let segment = segment(text)?;
        let name = segment.name();
        if name.is_some() && read.iter().any(|s: &Segment<'_>| s.name() == name) {
            return Err(RouteFault::SameName);
        }
        read.push(segment);
    }
    Ok(read)
}

fn segment(text: &str) -> Result<Segment<'_>, RouteFault> {
    let Some((before, rest)) = text.split_once('{') else {
        // A star alone would be taken for what it is elsewhere, and match nothing but itself.
        let literal = (!text.contains(['}', '*'])).then_some(Segment::Literal(text));
        return literal.ok_or(RouteFault::Param);
    };
    let (name, after) = rest.split_once('}').ok_or(RouteFault::OpenBrace)?;
    let special = ['{', '}', '*'];
    if [before, after].iter().any(|text| text.contains(special)) {
        return Err(RouteFault::Segment);
    }
    let (rest_of, name) = match name.strip_prefix('*') {
        Some(name) => (true, name),
        None => (false, name),
    };
    let is_alone = before.is_empty() && after.is_empty();
    if name.is_empty() || name.contains(special) || (rest_of && !is_alone) {
        return Err(RouteFault::Param);
    }
    Ok(if rest_of {
        Segment::Rest { name }
    } else {
        Segment::Param {
            before,
            name,
            after,
        }
    })
}

impl<'a> Segment<'a> {
    fn name(&self) -> Option<&'a str> {
        match self {
            Self::Literal(_) => None,
            Self::Param { name, .. } | Self::Rest { name } => Some(name),
        }
    }
}

/// The templates that begin alike, from here on.
#[derive(Debug, Clone, Default)]
pub(super) struct Node {
    /// Sorted by text.
    literals: Vec<Branch<String>>,
    /// Those with most text around them first.
    params: Vec<Branch<Around>>,
    /// What `{*rest}` stands for.
    rest: Option<usize>,
    /// What a path that ends here stands for.
    end: Option<usize>,
}

#[derive(Debug, Clone)]
struct Branch<T> {
    of: T,
    node: Node,
}

/// What stands around a parameter.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Around {
    /// Most text first.
    length: Reverse<usize>,
    before: String,
    after: String,
}

impl Around {
    fn new(before: &str, after: &str) -> Self {
        Self {
            length: Reverse(before.len() + after.len()),
            before: before.to_owned(),
            after: after.to_owned(),
        }
    }

    fn fits(&self, segment: &str) -> bool {
        segment
            .strip_prefix(self.before.as_str())
            .and_then(|rest| rest.strip_suffix(self.after.as_str()))
            .is_some_and(|value| !value.is_empty())
    }
}

impl Node {
    /// What a template stands for: `value`, unless one of the same form has been there before. Names do not matter.
    pub(super) fn insert(&mut self, segments: &[Segment<'_>], value: usize) -> usize {
        let Some((first, more)) = segments.split_first() else {
            return *self.end.get_or_insert(value);
        };
        match *first {
            Segment::Rest { .. } => *self.rest.get_or_insert(value),
            Segment::Literal(text) => {
                let by_text = |b: &Branch<String>| b.of.as_str().cmp(text);
                let place = self.literals.binary_search_by(by_text);
                branch(&mut self.literals, place, || text.to_owned(), more, value)
            }
            Segment::Param { before, after, .. } => {
                let around = Around::new(before, after);
                let place = self.params.binary_search_by(|b| b.of.cmp(&around));
                branch(&mut self.params, place, || around, more, value)
            }
        }
    }

    /// What a path stands for, given without its first slash; `None`: it ends here.
    pub(super) fn find(&self, path: Option<&str>) -> Option<usize> {
        let Some(path) = path else { return self.end };
        let (segment, more) = first_segment(path);
        let by_text = |b: &Branch<String>| b.of.as_str().cmp(segment);
        let literal = self.literals.binary_search_by(by_text).ok();
        literal
            .and_then(|place| self.literals.get(place)?.node.find(more))
            .or_else(|| {
                let mut fitting = self.params.iter().filter(|b| b.of.fits(segment));
                fitting.find_map(|b| b.node.find(more))
            })
            .or_else(|| self.rest.filter(|_| !path.is_empty()))
    }
}

/// The first segment of a path without its first slash, and the path after that, if one follows.
pub(super) fn first_segment(path: &str) -> (&str, Option<&str>) {
    let end = path.bytes().position(|b| b == b'/').unwrap_or(path.len());
    let (segment, rest) = path.split_at_checked(end).unwrap_or((path, ""));
    (segment, rest.get(1..))
}

/// Goes on in the branch at `place`, which is made where it is missing.
fn branch<T>(
    branches: &mut Vec<Branch<T>>,
    place: Result<usize, usize>,
    of: impl FnOnce() -> T,
    more: &[Segment<'_>],
    value: usize,
) -> usize {
    let place = place.unwrap_or_else(|place| {
        let node = Node::default();
        branches.insert(place, Branch { of: of(), node });
        place
    });
    let branch = branches.get_mut(place);
    branch.map_or(value, |branch| branch.node.insert(more, value))
}
