//! Promise 4: the functions' database user may EXECUTE, and nothing else.

use sqlx::Row;

use crate::support::{Service, migrations};

#[test]
fn the_functions_user_is_refused_everything_but_execute() {
    let service = Service::start();
    service.session("alice");
    let database = &service.database;
    let mut statements: Vec<String> = Vec::new();
    let tables = database.rows("SHOW TABLES");
    let tables: Vec<String> = tables.iter().map(|row| row.try_get_unchecked(0).unwrap()).collect();
    assert!(tables.iter().any(|table| table == "live_sessions"), "views too");
    for table in &tables {
        for statement in [
            "SELECT * FROM {}",
            "SELECT 1 FROM {} LIMIT 1",
            "INSERT INTO {} VALUES (1)",
            "INSERT INTO {} SELECT * FROM {}",
            "UPDATE {} SET username = 'x'",
            "DELETE FROM {}",
            "TRUNCATE TABLE {}",
            "ALTER TABLE {} ADD COLUMN x INT",
            "DROP TABLE {}",
            "CREATE TABLE copy AS SELECT * FROM {}",
            "CREATE VIEW view_of AS SELECT * FROM {}",
            "CREATE INDEX more ON {} (username)",
            "LOCK TABLES {} WRITE",
            "SHOW CREATE TABLE {}",
        ] {
            statements.push(statement.replace("{}", table));
        }
    }
    statements.extend(
        [
            "CREATE TABLE more (id INT)",
            "CREATE TEMPORARY TABLE more (id INT)",
            "CREATE PROCEDURE more() SELECT 1",
            "CREATE FUNCTION more() RETURNS INT RETURN 1",
            "CREATE EVENT more ON SCHEDULE EVERY 1 DAY DO SELECT 1",
            "CREATE DATABASE more",
            "CREATE USER more",
            "ALTER PROCEDURE send_message SQL SECURITY INVOKER",
            "DROP PROCEDURE send_message",
            "DROP DATABASE {}",
            "GRANT EXECUTE ON {}.* TO CURRENT_USER",
            "GRANT SELECT ON {}.* TO CURRENT_USER",
            "SELECT * FROM mysql.user",
            "SELECT * FROM mysql.procs_priv",
            "SET GLOBAL max_connections = 1",
            "SELECT 1 INTO OUTFILE '/tmp/chat-privileges'",
        ]
        .map(|statement| statement.replace("{}", database.name())),
    );
    // Access denied, in its varieties; 1410 is MySQL's for a GRANT without the right to make it.
    let denied = [1044, 1045, 1142, 1143, 1227, 1290, 1370, 1410];
    for statement in statements {
        let error = database.error_as_functions(&statement);
        assert!(denied.contains(&error), "{statement}: {error}");
    }
    assert_eq!(database.error_as_functions("CALL get_users(REPEAT('x', 32), 1, NULL)"), 0);
}

#[test]
fn procedures_run_with_the_rights_of_their_definer_and_in_strict_mode() {
    let service = Service::start();
    let count = |condition: &str| {
        let schema = service.database.name();
        service.database.number(&format!(
            "SELECT COUNT(*) FROM information_schema.routines WHERE routine_schema = '{schema}' AND {condition}"
        ))
    };
    let procedures = migrations().iter().filter(|sql| sql.contains("CREATE PROCEDURE")).count();
    let procedures = i64::try_from(procedures).unwrap();
    assert_eq!(count("security_type = 'DEFINER' AND routine_type = 'PROCEDURE'"), procedures);
    assert_eq!(count("TRUE"), procedures);
    assert_eq!(
        count("sql_mode LIKE '%STRICT_ALL_TABLES%' AND collation_connection = 'utf8mb4_general_ci'"),
        procedures
    );
}
