-- A batch reads the settings and secrets of all plugins of its guilds with one statement, so a guild must not make it
-- slow for the others. Triggers keep the bound, since the chat server's own code and operators save settings as well.

-- Raises check_violation if a guild has more than most_bytes. Saves at the same time do not see each other, so each may
-- exceed the bound by one plugin's settings; the next save is refused. Settings of before the bound stay as they are.
CREATE FUNCTION check_read_bytes(of_guild UUID, most_bytes BIGINT) RETURNS VOID LANGUAGE plpgsql AS $$
DECLARE
    used CONSTANT BIGINT := (
        SELECT sum(octet_length(plugin.config::text)
            + (SELECT coalesce(sum(2 * octet_length(secret.sealed)), 0)
               FROM plugin_secrets AS secret WHERE secret.plugin_id = plugin.id))
        FROM plugins AS plugin
        WHERE plugin.guild_id = of_guild);
BEGIN
    IF used > most_bytes THEN
        RAISE check_violation USING
            CONSTRAINT = 'guild_settings_bytes',
            MESSAGE = format('the settings and secrets of all plugins of the guild would have %s bytes together; the '
                || 'limit is %s', used, most_bytes);
    END IF;
END
$$;

CREATE FUNCTION bound_settings() RETURNS TRIGGER LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN
    PERFORM check_read_bytes(NEW.guild_id, TG_ARGV[0]::bigint);
    RETURN NULL;
END
$$;

CREATE FUNCTION bound_secrets() RETURNS TRIGGER LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN
    PERFORM check_read_bytes((SELECT guild_id FROM plugins WHERE id = NEW.plugin_id), TG_ARGV[0]::bigint);
    RETURN NULL;
END
$$;

-- The triggers read with the privileges of this role, whoever saves. No other role may use their functions for triggers
-- of its own, and no temporary table can take the place of one of the tables.
DO $$
DECLARE
    bound REGPROCEDURE;
BEGIN
    FOREACH bound IN ARRAY ARRAY['bound_settings()', 'bound_secrets()']::regprocedure[]
    LOOP
        EXECUTE format('ALTER FUNCTION %s SET search_path = %I, pg_temp', bound, current_schema());
        EXECUTE format('REVOKE EXECUTE ON FUNCTION %s FROM PUBLIC', bound);
    END LOOP;
END
$$;

-- A save that makes settings smaller passes, also in a guild that has exceeded the bound before it was there.
CREATE TRIGGER bound_first_settings AFTER INSERT ON plugins
    FOR EACH ROW EXECUTE FUNCTION bound_settings('1048576');

CREATE TRIGGER bound_changed_settings AFTER UPDATE OF config ON plugins
    FOR EACH ROW
    WHEN (octet_length(NEW.config::text) > octet_length(OLD.config::text))
    EXECUTE FUNCTION bound_settings('1048576');

CREATE TRIGGER bound_first_secret AFTER INSERT ON plugin_secrets
    FOR EACH ROW EXECUTE FUNCTION bound_secrets('1048576');

CREATE TRIGGER bound_changed_secret AFTER UPDATE OF sealed ON plugin_secrets
    FOR EACH ROW
    WHEN (octet_length(NEW.sealed) > octet_length(OLD.sealed))
    EXECUTE FUNCTION bound_secrets('1048576');
