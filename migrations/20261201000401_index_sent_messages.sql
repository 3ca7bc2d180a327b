-- transactional: false
-- A reply that is deleted in the chat is found by the id of its message.
DROP INDEX CONCURRENTLY IF EXISTS idx_plugin_intents_sent;
CREATE INDEX CONCURRENTLY idx_plugin_intents_sent ON plugin_intents(detail) WHERE state = 'delivered';
