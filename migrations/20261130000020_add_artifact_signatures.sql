-- The compile function signs its artifacts, and functions load no others. Rows of the version before have no signature:
-- they count as not compiled.
ALTER TABLE plugin_artifacts ADD COLUMN signature BYTEA;
