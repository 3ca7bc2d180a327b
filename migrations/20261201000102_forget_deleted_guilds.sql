-- The rows of a guild that have no reference to it go with it as well. A reference would make every batch wait for a
-- transaction that deletes the guild, and would refuse rows of guilds that a database of guildhook's own does not have.
CREATE FUNCTION forget_guild() RETURNS TRIGGER LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN
    DELETE FROM guild_budgets WHERE guild_id = OLD.id;
    DELETE FROM guild_pauses WHERE guild_id = OLD.id;
    DELETE FROM raised_budgets WHERE guild_id = OLD.id;
    DELETE FROM guild_settings WHERE guild_id = OLD.id;
    DELETE FROM plugin_audit WHERE guild_id = OLD.id;
    RETURN NULL;
END
$$;

DO $$
BEGIN
    EXECUTE format('ALTER FUNCTION forget_guild() SET search_path = %I, pg_temp', current_schema());
    REVOKE EXECUTE ON FUNCTION forget_guild() FROM PUBLIC;
    IF NOT has_table_privilege('guilds', 'TRIGGER') THEN
        RAISE insufficient_privilege USING MESSAGE = format(
            'the role %I may not add a trigger to the table guilds; let its owner GRANT TRIGGER ON guilds TO %I',
            current_user, current_user);
    END IF;
END
$$;

-- It fires when the transaction commits, so that the locks of these rows are held for a moment only.
CREATE CONSTRAINT TRIGGER forget_guild AFTER DELETE ON guilds
    DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW EXECUTE FUNCTION forget_guild();
