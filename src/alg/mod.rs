//! Application-layer gateways.
