//! A key never exceeds its owner: what a member's role allows bounds the keys of the member, at the edge, from the moment
//! that a change of either is in force. Members, roles and keys are pushed by hand, as the control plane pushes them.

mod bounds;
mod many;
mod order;
mod revocation;
mod staff;
