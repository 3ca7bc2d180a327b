-- The CPU time of runs. It is unknown for the runs of earlier releases.
ALTER TABLE plugin_runs ADD COLUMN cpu_us BIGINT;
ALTER TABLE plugin_shadow_runs ADD COLUMN cpu_us BIGINT;
ALTER TABLE plugin_usage ADD COLUMN cpu_us BIGINT NOT NULL DEFAULT 0;
