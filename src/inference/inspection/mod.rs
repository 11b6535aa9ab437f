/*!
What happens inside a recurrent network while it reads: its gates, and what single units tell.
*/

pub mod gates;
pub mod plain;
pub mod separation;
pub mod unit_names;
pub mod units;
