//! A packet expression.

use spigate::expression::PacketExpression;

/// What is read is printed so that it reads the same, and can be built.
pub fn run(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    match text.parse::<PacketExpression>() {
        Ok(expression) => {
            let printed = expression.to_string();
            assert_eq!(printed.parse().as_ref(), Ok(&expression), "{printed}");
            assert!(expression.packet.build().len() >= 20);
        }
        Err(error) => assert!(!error.to_string().is_empty()),
    }
}
