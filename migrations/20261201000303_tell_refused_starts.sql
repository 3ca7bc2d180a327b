-- Refusals are final for their engine, but for those that depend on the operator's limits: these get a kind of their own.
UPDATE plugin_refusals SET kind = 'start' WHERE kind = 'plugin' AND reason LIKE 'it does not start: %';
