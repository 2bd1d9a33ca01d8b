//! A line that never ends, and one that ends with a command.

use super::Talk;

#[test]
fn an_endless_line_is_passed_on_and_not_kept() {
    let mut talk = Talk::outward();
    talk.comes_to_nothing("", |talk| {
        let part = "PORT 10,0,0,7,200,10 ".repeat(50);
        for _ in 0..200 {
            assert_eq!(talk.client(&part), part);
            assert_eq!(talk.server(&part), part);
        }
        talk.client("PORT 10,0,0,7,200,10\r\n");
        talk.server("\r\n200 as you wish\r\n");
    });
    // Behind its end all is as ever.
    talk.client("PASV\r\n");
    talk.server("503 what?\r\n227 (198,51,100,21,156,64)\r\n");
}
