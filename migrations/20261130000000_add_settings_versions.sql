-- Each save of a plugin's settings. A trigger keeps them, since the chat server's own code, an operator in psql and the
-- version of guildhook before this one save settings as well.
CREATE TABLE plugin_settings_versions (
    plugin_id UUID NOT NULL REFERENCES plugins(id) ON DELETE CASCADE,
    number INTEGER NOT NULL CHECK (number > 0), -- 1 for the first of the plugin; the highest is that of its current ones
    settings JSONB, -- plugins.config without secrets; NULL if it is too large to be kept
    withheld TEXT[] NOT NULL, -- Names of the settings that are secrets and therefore not in the column settings
    bytes INTEGER NOT NULL, -- Of settings and withheld as text, as far as they are kept
    live_version_id UUID, -- The version that was live when they were saved
    replaced_version_id UUID, -- The version that was live with them when another one took its place
    actor_id TEXT, -- Id of a user of the chat server, if an admin has saved them
    actor_name TEXT,
    database_role TEXT, -- The role that wrote them directly; without actor and role, it is not known who saved them
    saved_at TIMESTAMPTZ NOT NULL DEFAULT NOW(),
    PRIMARY KEY (plugin_id, number)
);

-- A setting is a secret if a sealed value of its name is set, or if a version of the plugin declares it as one.
CREATE FUNCTION secret_settings(of_plugin UUID) RETURNS TEXT[] LANGUAGE sql STABLE AS $$
    SELECT coalesce(array_agg(name ORDER BY name), '{}') FROM (
        SELECT secret.name FROM plugin_secrets AS secret WHERE secret.plugin_id = of_plugin
        UNION
        SELECT declared.key
        FROM plugin_versions AS version
        CROSS JOIN LATERAL json_each(CASE json_typeof(version.settings_schema -> 'properties')
            WHEN 'object' THEN version.settings_schema -> 'properties' ELSE '{}' END) AS declared
        WHERE version.plugin_id = of_plugin
            AND CASE json_typeof(declared.value) WHEN 'object' THEN declared.value ->> 'writeOnly' = 'true' END
    ) AS secrets
$$;

CREATE FUNCTION withhold_settings(of_plugin UUID, secrets TEXT[]) RETURNS VOID LANGUAGE sql AS $$
    UPDATE plugin_settings_versions
    SET settings = settings - secrets,
        withheld = ARRAY(
            SELECT name FROM unnest(secrets) AS name WHERE settings ? name
            UNION
            SELECT unnest(withheld)
            ORDER BY name)
    WHERE plugin_id = of_plugin AND settings ?| secrets
$$;

-- All settings that the admin API takes have less than 128 KiB here, since it takes 64 KiB without the spaces that
-- Postgres writes after commas and colons.
CREATE FUNCTION settings_to_keep(config JSONB, secrets TEXT[])
RETURNS TABLE (settings JSONB, withheld TEXT[], bytes INTEGER) LANGUAGE sql STABLE AS $$
    SELECT CASE WHEN is_kept THEN measured.settings END, measured.withheld,
        withheld_bytes + CASE WHEN is_kept THEN settings_bytes ELSE 0 END
    FROM (
        SELECT *, octet_length(stripped.settings::text) AS settings_bytes,
            octet_length(stripped.withheld::text) AS withheld_bytes
        FROM (
            SELECT written.settings - secrets AS settings,
                ARRAY(SELECT name FROM unnest(secrets) AS name WHERE written.settings ? name ORDER BY name) AS withheld
            FROM (SELECT CASE jsonb_typeof(config) WHEN 'object' THEN config ELSE '{}' END AS settings) AS written
        ) AS stripped
    ) AS measured
    CROSS JOIN LATERAL (SELECT settings_bytes + withheld_bytes <= 131072 AS is_kept) AS judged
$$;

-- Adds settings as the newest of a plugin, unless they are the newest already. Settings that are too large to be kept
-- cannot be compared with the newest: they are added if the caller knows that they have changed. A conflict is with a
-- row for which this statement has waited, and which has the settings of before: the step after this one writes such
-- rows.
CREATE FUNCTION add_settings_version(
    of_plugin UUID, config JSONB, secrets TEXT[], has_changed BOOLEAN, live UUID,
    actor TEXT, name_of_actor TEXT, role_name TEXT
) RETURNS VOID LANGUAGE sql AS $$
    INSERT INTO plugin_settings_versions (
        plugin_id, number, settings, withheld, bytes, live_version_id, actor_id, actor_name, database_role)
    SELECT of_plugin, coalesce(newest.number, 0) + 1, kept.settings, kept.withheld, kept.bytes, live,
        actor, name_of_actor, role_name
    FROM settings_to_keep(config, secrets) AS kept
    LEFT JOIN (
        SELECT number, settings, withheld FROM plugin_settings_versions
        WHERE plugin_id = of_plugin
        ORDER BY number DESC LIMIT 1
    ) AS newest ON TRUE
    WHERE newest.number IS NULL
        OR newest.settings IS DISTINCT FROM kept.settings
        OR newest.withheld <> kept.withheld
        OR kept.settings IS NULL AND has_changed
    ON CONFLICT DO NOTHING
$$;

-- Deletes the oldest saved settings of plugins beyond the bounds. The current settings of a plugin stay, and those with
-- which its previous version was live. Rows that another transaction has locked are left to the next save, so that two
-- saves never wait for each other.
CREATE FUNCTION forget_settings_versions(of_plugins UUID[], most_of_a_plugin INTEGER, most_bytes BIGINT)
RETURNS VOID LANGUAGE sql AS $$
    WITH found AS (
        SELECT saved.plugin_id, saved.number, saved.saved_at, saved.bytes,
            saved.number = max(saved.number) OVER of_plugin
            OR coalesce(saved.number = max(saved.number) FILTER (
                WHERE saved.replaced_version_id = plugin.previous_version_id) OVER of_plugin, FALSE) AS needed
        FROM plugins AS plugin JOIN plugin_settings_versions AS saved ON saved.plugin_id = plugin.id
        WHERE plugin.id = ANY (of_plugins)
        WINDOW of_plugin AS (PARTITION BY saved.plugin_id)
    ), ranked AS (
        SELECT plugin_id, number, needed,
            row_number() OVER (PARTITION BY plugin_id ORDER BY needed DESC, number DESC) AS place,
            sum(bytes) OVER (ORDER BY needed DESC, saved_at DESC, number DESC, plugin_id) AS total_bytes
        FROM found
    ), surplus AS MATERIALIZED (
        SELECT saved.plugin_id, saved.number
        FROM ranked JOIN plugin_settings_versions AS saved USING (plugin_id, number)
        WHERE NOT ranked.needed AND (ranked.place > most_of_a_plugin OR ranked.total_bytes > most_bytes)
        FOR UPDATE OF saved SKIP LOCKED
    )
    DELETE FROM plugin_settings_versions AS saved USING surplus
    WHERE saved.plugin_id = surplus.plugin_id AND saved.number = surplus.number
$$;

-- An entry of the audit log in the same transaction names the actor: statements of the admin API write one with each
-- change. Settings that were saved while no trigger was there are kept as those of an unknown person.
CREATE FUNCTION keep_settings() RETURNS TRIGGER LANGUAGE plpgsql SECURITY DEFINER AS $$
DECLARE
    most_of_a_plugin CONSTANT INTEGER := TG_ARGV[0];
    most_bytes CONSTANT BIGINT := TG_ARGV[1];
    secrets CONSTANT TEXT[] := secret_settings(NEW.id);
    actor TEXT;
    name_of_actor TEXT;
    has_changed BOOLEAN := TRUE;
BEGIN
    PERFORM withhold_settings(NEW.id, secrets);
    IF TG_OP = 'UPDATE' THEN
        has_changed := OLD.config IS DISTINCT FROM NEW.config;
        PERFORM add_settings_version(NEW.id, OLD.config, secrets, FALSE, OLD.live_version_id, NULL, NULL, NULL);
        -- Wasm that was written into plugins directly has replaced the live version before it is adopted.
        UPDATE plugin_settings_versions AS saved SET replaced_version_id = replaced.id
        FROM plugin_versions AS replaced
        WHERE replaced.id = OLD.live_version_id AND replaced.wasm_sha256 = OLD.wasm_sha256
            AND (NEW.live_version_id IS DISTINCT FROM OLD.live_version_id OR NEW.wasm_sha256 <> OLD.wasm_sha256)
            AND saved.plugin_id = NEW.id
            AND saved.number = (SELECT max(number) FROM plugin_settings_versions WHERE plugin_id = NEW.id);
    END IF;
    SELECT actor_id, actor_name INTO actor, name_of_actor FROM plugin_audit
    WHERE at = now() AND plugin_id = NEW.id AND xmin = pg_current_xact_id()::xid
    ORDER BY id DESC LIMIT 1;
    PERFORM add_settings_version(NEW.id, NEW.config, secrets, has_changed, NEW.live_version_id, actor, name_of_actor,
        CASE WHEN NOT FOUND THEN session_user END);
    PERFORM forget_settings_versions(ARRAY[NEW.id], most_of_a_plugin, most_bytes);
    IF (SELECT sum(saved.bytes) FROM plugin_settings_versions AS saved JOIN plugins AS plugin ON plugin.id = saved.plugin_id
        WHERE plugin.guild_id = NEW.guild_id) > most_bytes
    THEN
        PERFORM forget_settings_versions(
            ARRAY(SELECT id FROM plugins WHERE guild_id = NEW.guild_id), most_of_a_plugin, most_bytes);
    END IF;
    RETURN NULL;
END
$$;

CREATE FUNCTION withhold_secret() RETURNS TRIGGER LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN
    PERFORM withhold_settings(NEW.plugin_id, ARRAY[NEW.name]);
    RETURN NULL;
END
$$;

CREATE FUNCTION withhold_declared_secrets() RETURNS TRIGGER LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN
    PERFORM withhold_settings(NEW.plugin_id, secret_settings(NEW.plugin_id));
    RETURN NULL;
END
$$;

-- The triggers write with the privileges of this role, whoever saves. No other role may use their functions for triggers
-- of its own, and no temporary table can take the place of one of the tables.
DO $$
DECLARE
    kept REGPROCEDURE;
BEGIN
    FOREACH kept IN ARRAY ARRAY[
        'keep_settings()', 'withhold_secret()', 'withhold_declared_secrets()']::regprocedure[]
    LOOP
        EXECUTE format('ALTER FUNCTION %s SET search_path = %I, pg_temp', kept, current_schema());
        EXECUTE format('REVOKE EXECUTE ON FUNCTION %s FROM PUBLIC', kept);
    END LOOP;
END
$$;

-- The arguments are the most saved settings of a plugin, and the most bytes of all saved settings of a guild.
CREATE TRIGGER keep_first_settings AFTER INSERT ON plugins
    FOR EACH ROW EXECUTE FUNCTION keep_settings('50', '16777216');

CREATE TRIGGER keep_changed_settings AFTER UPDATE ON plugins
    FOR EACH ROW
    WHEN (OLD.config IS DISTINCT FROM NEW.config
        OR OLD.live_version_id IS DISTINCT FROM NEW.live_version_id
        OR OLD.wasm_sha256 IS DISTINCT FROM NEW.wasm_sha256)
    EXECUTE FUNCTION keep_settings('50', '16777216');

CREATE TRIGGER withhold_secret AFTER INSERT OR UPDATE OF name ON plugin_secrets
    FOR EACH ROW EXECUTE FUNCTION withhold_secret();

CREATE TRIGGER withhold_declared_secrets AFTER INSERT OR UPDATE OF settings_schema ON plugin_versions
    FOR EACH ROW WHEN (NEW.settings_schema IS NOT NULL) EXECUTE FUNCTION withhold_declared_secrets();
