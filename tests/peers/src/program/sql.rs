//! SQLite: in-memory tables, and queries that use many features.

use anyhow::{Result, bail};

use super::Program;
use crate::guest::Guest;

pub(super) const SQLITE: Program = Program {
    name: "SQLite",
    file: "sqlite-official.wasm",
    // The name of a function that a query calls.
    marker: b"group_concat\0",
    lines: &["1334|1334667", "ok"],
    run,
};

const ROW: u32 = 100;
const DONE: u32 = 101;

const STATEMENTS: &[&str] = &[
    "SELECT sqlite_version(), sqlite_source_id()",
    "CREATE TABLE author(id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE)",
    "CREATE TABLE book(id INTEGER PRIMARY KEY, author REFERENCES author, title TEXT, price REAL)",
    "CREATE INDEX book_price ON book(price)",
    "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 40)
     INSERT INTO author SELECT i, printf('author %03d', i * 7 % 41) FROM n",
    "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 2000)
     INSERT INTO book SELECT i, i * 13 % 40 + 1, hex(i * i), i * 1.25 % 97 FROM n",
    "SELECT name, count(*), round(avg(price), 3), max(title) FROM author JOIN book
     ON book.author = author.id GROUP BY name HAVING max(price) > 50 ORDER BY 3 DESC, 1 LIMIT 12",
    "SELECT group_concat(title, '/') FROM (SELECT title FROM book ORDER BY price, id LIMIT 15)",
    "SELECT id, price, rank() OVER (ORDER BY price DESC, id) FROM book ORDER BY 3 LIMIT 5",
    "UPDATE book SET price = price * 2 WHERE title LIKE '%393%' RETURNING id",
    "SELECT * FROM nowhere",
    "SELECT count(*), total(price) FROM book WHERE price BETWEEN 10 AND 90",
    "SELECT json_group_array(json_object('n', name, 'l', length(name))) FROM author WHERE id < 6",
    "SELECT strftime('%Y-%m-%d %H:%M:%S', 'now'), abs(random()) >= 0, quote(x'00ff')",
    "EXPLAIN QUERY PLAN SELECT * FROM book WHERE price = 5",
    "DELETE FROM book WHERE id % 3 = 0",
    "PRAGMA integrity_check",
    "SELECT count(*), sum(id) FROM book",
];

/// A table of 20 rows, and one query.
pub(super) const SMALL: Program = Program {
    name: "SQLite, one query",
    lines: &["item 2|40", "item 0|15"],
    run: run_small,
    ..SQLITE
};

const SMALL_STATEMENTS: &[&str] = &[
    "CREATE TABLE line(id INTEGER PRIMARY KEY, item TEXT, n INTEGER)",
    "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20)
     INSERT INTO line SELECT i, printf('item %d', i % 4), i * 3 % 11 FROM n",
    "SELECT item, sum(n) FROM line WHERE n BETWEEN 1 AND 10 GROUP BY item ORDER BY 2 DESC",
];

fn run_small(guest: &mut dyn Guest) -> Result<Vec<u8>> {
    execute_all(guest, SMALL_STATEMENTS)
}

fn run(guest: &mut dyn Guest) -> Result<Vec<u8>> {
    execute_all(guest, STATEMENTS)
}

/// Opens a database in memory, and returns the rows of all statements.
fn execute_all(guest: &mut dyn Guest, statements: &[&str]) -> Result<Vec<u8>> {
    guest.run("__wasm_call_ctors", &[])?;
    if guest.run("sqlite3_initialize", &[])? != 0 {
        bail!("sqlite3_initialize failed");
    }
    let name = guest.place("malloc", b":memory:")?;
    // Space for the handle, which the library writes.
    let handle = guest.place("malloc", &[0; 4])?;
    if guest.run("sqlite3_open", &[name, handle])? != 0 {
        bail!("sqlite3_open failed");
    }
    let database = guest.memory().read_u32(handle)?;
    let mut output = Vec::new();
    for statement in statements {
        execute(guest, database, handle, statement, &mut output)?;
    }
    guest.run("sqlite3_close_v2", &[database])?;
    Ok(output)
}

fn execute(
    guest: &mut dyn Guest,
    database: u32,
    handle: u32,
    sql: &str,
    output: &mut Vec<u8>,
) -> Result<()> {
    let text = guest.place("malloc", sql.as_bytes())?;
    let len = u32::try_from(sql.len())?;
    let result = guest.run("sqlite3_prepare_v2", &[database, text, len, handle, 0])?;
    if result != 0 {
        // Errors are part of the output too.
        let message = guest.run("sqlite3_errmsg", &[database])?;
        output.extend(guest.memory().read_c_str(message)?);
        output.push(b'\n');
        return Ok(());
    }
    let statement = guest.memory().read_u32(handle)?;
    loop {
        match guest.run("sqlite3_step", &[statement])? {
            ROW => row(guest, statement, output)?,
            DONE => break,
            other => bail!("sqlite3_step: {other} in {sql}"),
        }
    }
    guest.run("sqlite3_finalize", &[statement])?;
    guest.run("free", &[text])?;
    Ok(())
}

fn row(guest: &mut dyn Guest, statement: u32, output: &mut Vec<u8>) -> Result<()> {
    for column in 0..guest.run("sqlite3_column_count", &[statement])? {
        if 0 < column {
            output.push(b'|');
        }
        let text = guest.run("sqlite3_column_text", &[statement, column])?;
        if text != 0 {
            output.extend(guest.memory().read_c_str(text)?);
        }
    }
    output.push(b'\n');
    Ok(())
}
