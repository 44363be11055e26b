use std::path::Path;

/// Every test that the document's tables name exists.
fn every_named_test_exists(document: &str, least: usize) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let table = std::fs::read_to_string(root.join(document)).unwrap();
    let mut code = String::new();
    for dir in ["tests", "src/conformance", "fuzz/src"] {
        collect(&root.join(dir), &mut code);
    }
    let mut library = String::new();
    collect(&root.join("src"), &mut library);
    for package in std::fs::read_dir(root.join("crates")).unwrap() {
        let package = package.unwrap().path();
        collect(&package.join("src"), &mut library);
        if package.join("tests").exists() {
            collect(&package.join("tests"), &mut code);
        }
    }
    let lines: Vec<_> = library.lines().map(str::trim_start).collect();
    // In the library, only tests may have the name of a test.
    lines
        .windows(2)
        .filter(|pair| pair[0].starts_with("#[") && pair[0].contains("test"))
        .for_each(|pair| code.push_str(pair[1]));
    let rows: Vec<_> = shown_by(&table).collect();
    assert!(rows.len() >= least, "the table is there: {}", rows.len());
    let named: Vec<&str> =
        rows.iter().map(|row| row.rsplit('|').nth(1).unwrap()).flat_map(ticked).collect();
    assert!(named.len() >= rows.len(), "every row names a test");
    for name in named {
        // A name that ends in `…` stands for several tests.
        let function = match name.strip_suffix('…') {
            Some(beginning) => format!("fn {beginning}"),
            None => format!("fn {name}("),
        };
        assert!(code.contains(&function), "{name} does not exist");
    }
}

/// The rows of the tables whose last column is the test.
fn shown_by(text: &str) -> impl Iterator<Item = &str> {
    let mut inside = false;
    text.lines().filter(move |line| {
        if !line.starts_with('|') {
            inside = false;
        } else if line.ends_with("| shown by |") {
            inside = true;
            return false;
        }
        inside && !line.starts_with("|--")
    })
}

#[test]
fn session_guarantees_name_existing_tests() {
    every_named_test_exists("docs/session-tests.md", 80);
}

#[test]
fn every_test_that_the_table_of_requests_names_exists() {
    every_named_test_exists("docs/sessions.md", 11);
}

#[test]
fn every_test_that_the_table_of_dead_connections_names_exists() {
    every_named_test_exists("docs/edge.md", 3);
}

#[test]
fn threats_name_existing_tests() {
    every_named_test_exists("SECURITY.md", 29);
}

fn ticked(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2)
}

fn collect(dir: &Path, code: &mut String) {
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, code);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            code.push_str(&std::fs::read_to_string(path).unwrap());
        }
    }
}
