-- Operators make changes too. An entry that concerns no guild alone has none. All older entries are of admins, so the
-- constraint need not read them.
ALTER TABLE plugin_audit
    ADD COLUMN actor_kind TEXT NOT NULL DEFAULT 'admin',
    ADD CONSTRAINT plugin_audit_actor_kind_check CHECK (actor_kind IN ('admin', 'operator')) NOT VALID,
    ALTER COLUMN guild_id DROP NOT NULL;
