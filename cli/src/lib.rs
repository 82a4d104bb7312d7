//! placeholder

pub use rebate_local as local;
