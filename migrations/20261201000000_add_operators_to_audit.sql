-- Operators make changes too. An entry that concerns no guild alone has none.
ALTER TABLE plugin_audit
    ADD COLUMN actor_kind TEXT NOT NULL DEFAULT 'admin' CHECK (actor_kind IN ('admin', 'operator')),
    ALTER COLUMN guild_id DROP NOT NULL;

CREATE INDEX idx_plugin_audit_operator ON plugin_audit(id DESC) WHERE actor_kind = 'operator';
