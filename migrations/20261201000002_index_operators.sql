-- transactional: false
-- Operators read their own entries of all guilds, the newest first.
DROP INDEX CONCURRENTLY IF EXISTS idx_plugin_audit_operator;
CREATE INDEX CONCURRENTLY idx_plugin_audit_operator ON plugin_audit(id DESC) WHERE actor_kind = 'operator';
