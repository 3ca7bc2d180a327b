-- transactional: false
-- What a person has left behind is found by these indexes.
DROP INDEX CONCURRENTLY IF EXISTS idx_plugin_runs_author;
CREATE INDEX CONCURRENTLY idx_plugin_runs_author ON plugin_runs(author_id, id) WHERE author_id IS NOT NULL;
DROP INDEX CONCURRENTLY IF EXISTS idx_plugin_shadow_runs_author;
CREATE INDEX CONCURRENTLY idx_plugin_shadow_runs_author ON plugin_shadow_runs(author_id, id) WHERE author_id IS NOT NULL;
DROP INDEX CONCURRENTLY IF EXISTS idx_plugin_audit_actor;
CREATE INDEX CONCURRENTLY idx_plugin_audit_actor ON plugin_audit(actor_id, id);
