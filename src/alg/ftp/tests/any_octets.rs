//! Any octets, in any pieces.

use proptest::prelude::*;

use super::*;

/// Lines that come near to FTP, and octets that do not.
fn stream() -> impl Strategy<Value = Vec<u8>> {
    let line = prop_oneof![
        "(PORT|port) 10,0,0,7,[0-9]{1,3},[0-9]{1,3}\r\n",
        "EPRT [|!]1[|!]10.0.0.7[|!][0-9]{1,5}[|!]\r\n",
        "(PASV|EPSV|EPSV ALL|AUTH TLS|NOOP)\r\n",
        "227 Mode [(]?10,0,9,21,[0-9]{1,3},[0-9]{1,3}[)]?\r\n",
        "229[ -]Mode [(][|]{3}[0-9]{1,5}[|][)]\r\n",
        "(200|230|500|234)[ -]x\r\n",
        "[\r\n(|,0-9 ]{0,9}",
    ];
    prop_oneof![
        4 => prop::collection::vec(line, 0..8).prop_map(|lines| lines.concat().into_bytes()),
        1 => prop::collection::vec(any::<u8>(), 0..1500),
    ]
}

proptest! {
    #[test]
    fn no_stream_breaks_the_reader(
        pieces in prop::collection::vec((any::<bool>(), stream()), 0..6),
        translate in any::<bool>(),
    ) {
        let mut dialogue = Dialogue::v4();
        if translate {
            dialogue = dialogue.translated_to("203.0.113.2:40000");
        }
        for (from_client, bytes) in pieces {
            let direction = if from_client { CLIENT } else { SERVER };
            let (inspection, leaves) = dialogue.read(direction, &bytes);
            edited(&leaves, &inspection.edits);
            prop_assert!(translate || inspection.edits.is_empty());
            prop_assert!(translate || leaves == bytes);
        }
    }

    #[test]
    fn t_1123_stream__how_a_stream_is_cut_changes_nothing(
        pieces in prop::collection::vec((any::<bool>(), stream()), 0..6),
        cut in 1_usize..40,
        translate in any::<bool>(),
        longest in 512_usize..=2048,
    ) {
        let begin = || {
            let dialogue = Dialogue::with(|ftp| ftp.longest_line = longest);
            match translate {
                true => dialogue.translated_to("203.0.113.2:40000"),
                false => dialogue,
            }
        };
        let (mut whole, mut in_pieces) = (begin(), begin());
        let mut heard = [const { Vec::new() }; 4];
        for (from_client, bytes) in pieces {
            let direction = if from_client { CLIENT } else { SERVER };
            let mut says = |dialogue: &mut Dialogue, piece: &[u8], at: usize| {
                let (inspection, leaves) = dialogue.read(direction, piece);
                heard[at + usize::from(from_client)] .extend(edited_octets(&leaves, &inspection.edits));
            };
            says(&mut whole, &bytes, 0);
            for piece in bytes.chunks(cut) {
                says(&mut in_pieces, piece, 2);
            }
            // What one still withholds the other does.
            let [a, b, c, d] = &heard;
            prop_assert_eq!((a, b), (c, d));
        }
        prop_assert_eq!(&whole.withheld, &in_pieces.withheld);
        prop_assert_eq!(whole.opened(), in_pieces.opened());
        prop_assert_eq!(whole.refusals(), in_pieces.refusals());
    }
}
