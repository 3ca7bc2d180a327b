import { useMutation, useQueryClient } from '@tanstack/react-query';
import { answer, api } from '../api/client';
import { asProblem } from '../api/problem';
import { guildQuery, keys } from '../api/queries';
import type { Budget } from '../api/types';
import { announce } from '../shell/announce';
import { PageHeading } from '../shell/PageHeading';
import { Bar } from '../ui/Bar';
import { ProblemNotice } from '../ui/ProblemNotice';
import { Switch } from '../ui/Switch';
import { Time } from '../ui/Time';
import { bytes, count, duration, short, whole } from '../words/format';
import { useGuild } from './GuildLayout';

export function GuildSettingsPage() {
  const guild = useGuild();
  const queryClient = useQueryClient();
  const query = guildQuery(guild.id);
  const keepContent = useMutation({
    mutationFn: (keep_content: boolean) =>
      answer(
        api.PATCH('/api/guilds/{guild_id}', {
          params: { path: { guild_id: guild.id }, header: { 'if-match': guild.etag } },
          body: { keep_content },
        }),
      ),
    onSuccess: (changed) => {
      queryClient.setQueryData(query.queryKey, changed);
      void queryClient.invalidateQueries({ queryKey: [...keys.guild(guild.id), 'audit'] });
      announce(
        changed.keep_content ? 'Messages are kept with runs from now on.' : 'Messages are no longer kept with runs.',
      );
    },
    // Somebody else has changed the switch first. Their choice is shown, and the admin can press again.
    onError: () => queryClient.invalidateQueries({ queryKey: query.queryKey }),
  });
  return (
    <>
      <PageHeading title={['Settings', guild.name]} level={2} isHidden>
        Guild settings
      </PageHeading>
      <section className="section">
        <h3>Messages in the records of runs</h3>
        {keepContent.error && <ProblemNotice problem={asProblem(keepContent.error)} />}
        <Switch
          isSelected={guild.keep_content}
          isDisabled={keepContent.isPending}
          onChange={(keep) => keepContent.mutate(keep)}
        >
          Keep messages with runs
        </Switch>
        <p className="muted">
          If this is on, each run keeps the message that it got. Everybody who manages this guild can read these
          messages and replay the run. If it is off, a run keeps only the id of the message. Switching it off does not
          delete messages that are kept already: they are deleted with their runs, after the time that your operator has
          set.
        </p>
      </section>
      <section className="section">
        <h3>Budget of this minute</h3>
        <p className="muted">
          All plugins of the guild share this budget. When it is used up, further messages wait for the next minute. No
          message is lost. A run takes its fuel from the budget, or its processor time if that is worth more: a
          millisecond is worth {short(guild.budget.fuel_per_cpu_ms)} fuel.
        </p>
        <BudgetBars budget={guild.budget} />
      </section>
      <section className="section">
        <h3>Room for plugins</h3>
        <Bar
          label="Plugins"
          value={guild.plugins}
          limit={guild.plugins_limit}
          text={`${whole(guild.plugins)} of ${whole(guild.plugins_limit)}`}
        />
      </section>
    </>
  );
}

function BudgetBars({ budget }: { budget: Budget }) {
  return (
    <>
      {budget.over_at && (
        <div className="notice notice-warn">
          <p>
            The budget was used up <Time at={budget.over_at} />
            {budget.over_reason && <>: {budget.over_reason}</>}. {count(budget.delayed, 'message')} had to wait.
          </p>
        </div>
      )}
      <div className="bars">
        <Bar
          label="Fuel"
          value={budget.fuel}
          limit={budget.fuel_limit}
          text={`${short(budget.fuel)} of ${short(budget.fuel_limit)}, at most ${duration((1_000 * budget.fuel_limit) / budget.fuel_per_cpu_ms)} of processor time`}
        />
        <Bar
          label="Messages sent"
          value={budget.sends}
          limit={budget.sends_limit}
          text={`${whole(budget.sends)} of ${whole(budget.sends_limit)}`}
        />
        <Bar
          label="Log"
          value={budget.log_bytes}
          limit={budget.log_bytes_limit}
          text={`${bytes(budget.log_bytes)} of ${bytes(budget.log_bytes_limit)}`}
        />
      </div>
    </>
  );
}
