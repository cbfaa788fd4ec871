//! Fixes of the project's own commands.

use super::fix::Fix;

#[rustfmt::skip]
pub(super) const FIXES: &[Fix] = &[
    Fix {
        what: "the tour follows cargo's target directory",
        file: "xtask/src/metadata.rs",
        take: r#"    let path = json["target_directory"]
        .as_str()
"#,
        put: r#"    let path = json["workspace_root"]
        .as_str()
"#,
        tests: &["bin the_artifact_goes_to_the_target_directory"],
    },
    Fix {
        what: "a path that is given to the tour is relative to the caller's directory",
        file: "xtask/src/tour.rs",
        take: r"    caller.join(file)
",
        put: r"    let _ = caller;
    PathBuf::from(file)
",
        tests: &["bin paths_are_relative_to_the_current_directory"],
    },
    Fix {
        what: "the tour takes a question for help for no file",
        file: "xtask/src/tour.rs",
        take: r#"        [help] if matches!(help.as_str(), "help" | "-h" | "--help") => {
            print!("{HELP}");
            Ok(())
        }
"#,
        put: "",
        tests: &["bin help_is_not_a_file"],
    },
    Fix {
        what: "a row of the page of mutants explains one of them",
        file: "xtask/src/mutants.rs",
        take: r"                    rows.swap_remove(at);
",
        put: r"                    let _ = rows[at];
",
        tests: &["bin a_survivor_is_known_by_file_and_mutation"],
    },
    Fix {
        what: "a second packing has as many packages as the first",
        file: "xtask/src/package/built.rs",
        take: r#"    ensure!(n == n_again, "{n} packages, then {n_again}");
"#,
        put: r"    let _ = n_again;
",
        tests: &["bin two_packings_have_the_same_packages_and_bytes"],
    },
];
