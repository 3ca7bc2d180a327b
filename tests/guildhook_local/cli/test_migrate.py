def test_migrate_brings_a_database_up_to_date(as_json, guildhook, empty_database, environment):
    environment["GUILDHOOK_DATABASE_URL"] = empty_database
    status, result = as_json("migrate")
    assert status == 0
    assert "20260125000001_add_plugins" in result["applied"]
    assert guildhook("migrate")[:2] == (0, "The database is up to date.\n")


def test_migrate_of_a_database_that_is_down_says_so_in_one_line(failure, environment):
    environment["GUILDHOOK_DATABASE_URL"] = "postgresql://someone:s3cret@127.0.0.1:1/chat"
    status, line = failure("migrate")
    assert status == 3
    assert line.startswith("database at 127.0.0.1:1/chat (GUILDHOOK_DATABASE_URL)")
    assert "s3cret" not in line


def test_migrate_does_not_show_a_malformed_url(failure, environment):
    environment["GUILDHOOK_DATABASE_URL"] = "s3cret"
    status, line = failure("migrate")
    assert status == 2
    assert line.startswith("wrong environment: GUILDHOOK_DATABASE_URL: not a PostgreSQL URL")
    assert "s3cret" not in line


def test_migrate_without_the_migrations_does_not_call_a_database_up_to_date(failure, monkeypatch, tmp_path):
    monkeypatch.setattr("guildhook_local.stack.MIGRATIONS", tmp_path / "migrations")
    status, line = failure("migrate")
    assert status == 3
    assert f"there is no folder {tmp_path / 'migrations'}: run the command in a checkout" in line
