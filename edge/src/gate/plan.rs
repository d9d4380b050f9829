//! Plans: what JavaScript is told to do with a request, as one string of lines (see `edge/js/proxy.mjs`).

use shared::Millis;
use shared::fields::{Fields, push_line};

use super::kept::Fixed;

/// What is to be done with a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Plan {
    /// The gate answers itself.
    Answer {
        /// HTTP status.
        status: u16,
        /// JSON, or nothing. An answer that is kept has the body that it was first given, with the id and the seconds to
        /// wait of this one.
        body: String,
        /// Header fields that are the same each time.
        fixed: Fixed,
        /// The other header fields. The first of an answer that is kept is the request's id, the second the seconds to
        /// wait where there are any.
        fields: Fields,
    },
    /// The request goes to the upstream.
    Forward(Box<Forward>),
    /// A request to `/.keyward/…`, whose body is needed first.
    Control,
}

/// The way to the upstream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Forward {
    /// Where to.
    pub url: String,
    /// How long the upstream may take to begin its answer, in milliseconds.
    pub timeout: u32,
    /// What the gate needs again when the upstream has answered, as [`Ticket::write`] wrote it.
    pub ticket: String,
    /// Header fields for the upstream.
    pub to_upstream: Fields,
    /// Header fields for the caller; `vary` is appended, the others replace.
    pub to_caller: Fields,
}

/// What the gate needs again when the upstream has answered. It travels through JavaScript, so that nothing
/// is left behind in wasm by a request that is cut off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ticket<'a> {
    /// The key.
    pub key: &'a str,
    /// The account whose guard keeps the usage.
    pub account: &'a str,
    /// The API.
    pub api: &'a str,
    /// The request's id.
    pub request: &'a str,
    /// When the request arrived.
    pub at: Millis,
    /// What it cost, in units.
    pub cost: u32,
    /// The API's name, for a refusal.
    pub realm: &'a str,
}

/// Between the parts of a ticket. Ids have none; the realm, which may, comes last.
const TAB: char = '\t';

impl<'a> Ticket<'a> {
    /// As one line.
    pub fn write(&self) -> String {
        let [mut at, mut cost] = [itoa::Buffer::new(); 2];
        let mut text = String::with_capacity(128);
        let parts = [
            self.key,
            self.account,
            self.api,
            self.request,
            at.format(self.at),
            cost.format(u64::from(self.cost)),
        ];
        for part in parts {
            text.push_str(part);
            text.push(TAB);
        }
        text.push_str(self.realm);
        text
    }

    /// Reads what [`Self::write`] wrote.
    pub fn read(text: &'a str) -> Option<Self> {
        let mut parts = text.splitn(7, TAB);
        Some(Self {
            key: parts.next()?,
            account: parts.next()?,
            api: parts.next()?,
            request: parts.next()?,
            at: parts.next()?.parse().ok()?,
            cost: parts.next()?.parse().ok()?,
            realm: parts.next()?,
        })
    }
}

impl Plan {
    /// An answer whose fields are all its own.
    pub fn answer(status: u16, body: String, fields: Fields) -> Self {
        Self::Answer {
            status,
            body,
            fixed: Fixed::Once(Fields::default()),
            fields,
        }
    }

    /// As lines. The first says whether there is work to do after the answer.
    pub fn encode(&self, work_follows: bool) -> String {
        let mut text = String::with_capacity(2_048);
        let mut number = itoa::Buffer::new();
        let first = if work_follows { "1" } else { "0" };
        text.push_str(first);
        let mut line = |value: &str| {
            text.push('\n');
            push_line(&mut text, value);
        };
        match self {
            Self::Control => line("control"),
            Self::Answer {
                status,
                body,
                fixed,
                fields,
            } => {
                line("answer");
                line(number.format(u64::from(*status)));
                line(body);
                let (place, told) = match fixed {
                    Fixed::Kept(place) => (Some(*place), None),
                    Fixed::Keep(place, told) => (Some(*place), Some(told)),
                    Fixed::Once(told) => (None, Some(told)),
                };
                line(place.map_or("", |place| number.format(u64::from(place))));
                line(number.format(told.map_or(0, Fields::count) as u64 * 2));
                text.push('\n');
                text.push_str(told.map_or("", Fields::as_lines));
                text.push_str(fields.as_lines());
            }
            Self::Forward(forward) => {
                line("forward");
                line(&forward.url);
                line(number.format(u64::from(forward.timeout)));
                line(&forward.ticket);
                line(number.format(forward.to_upstream.count() as u64 * 2));
                text.push('\n');
                text.push_str(forward.to_upstream.as_lines());
                text.push_str(forward.to_caller.as_lines());
            }
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_status_body_and_fields() {
        let mut fields = Fields::default();
        fields.put("x-a", "1");
        let plan = Plan::Answer {
            status: 200,
            body: String::new(),
            fixed: Fixed::Kept(7),
            fields: fields.clone(),
        };
        assert_eq!(plan.encode(false), "0\nanswer\n200\n\n7\n0\nx-a\n1\n");
        let mut told = Fields::default();
        told.put("x-b", "2");
        let plan = Plan::Answer {
            status: 200,
            body: "{}".into(),
            fixed: Fixed::Once(told),
            fields,
        };
        let lines = "0\nanswer\n200\n{}\n\n2\nx-b\n2\nx-a\n1\n";
        assert_eq!(plan.encode(false), lines);
        assert_eq!(Plan::Control.encode(true), "1\ncontrol");
    }

    #[test]
    fn tickets_read_back() {
        let ticket = Ticket {
            key: "key_1",
            account: "acc_1",
            api: "api_1",
            request: "req_1",
            at: 1_700_000_000_000,
            cost: 5,
            realm: "A\tB",
        };
        assert_eq!(Ticket::read(&ticket.write()), Some(ticket));
        assert_eq!(Ticket::read("nonsense"), None);
    }
}
