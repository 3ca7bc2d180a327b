-- Messages that were deleted in the chat. The sweep deletes their runs. After that a row keeps a late event of its message
-- from running, and lives as long as runs do. No reference to guilds, as in guild_budgets.
CREATE TABLE deleted_messages (
    guild_id UUID NOT NULL,
    message_id UUID NOT NULL,
    deleted_at TIMESTAMPTZ NOT NULL DEFAULT NOW(),
    -- By then the batches that did not read of the deletion have ended. NULL: the runs are deleted.
    forget_at TIMESTAMPTZ DEFAULT NOW() + INTERVAL '2 minutes',
    PRIMARY KEY (guild_id, message_id)
);

CREATE INDEX idx_deleted_messages_deleted ON deleted_messages(deleted_at);
CREATE INDEX idx_deleted_messages_due ON deleted_messages(forget_at) WHERE forget_at IS NOT NULL;

CREATE OR REPLACE FUNCTION forget_guild() RETURNS TRIGGER LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN
    DELETE FROM guild_budgets WHERE guild_id = OLD.id;
    DELETE FROM guild_pauses WHERE guild_id = OLD.id;
    DELETE FROM raised_budgets WHERE guild_id = OLD.id;
    DELETE FROM guild_settings WHERE guild_id = OLD.id;
    DELETE FROM plugin_audit WHERE guild_id = OLD.id;
    DELETE FROM deleted_messages WHERE guild_id = OLD.id;
    RETURN NULL;
END
$$;

-- A function that is replaced loses its settings, and keeps its privileges.
DO $$
BEGIN
    EXECUTE format('ALTER FUNCTION forget_guild() SET search_path = %I, pg_temp', current_schema());
END
$$;
