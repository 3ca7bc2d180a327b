import { useMutation, useQueryClient } from '@tanstack/react-query';
import { type FormEvent, useState } from 'react';
import { useNavigate } from 'react-router';
import { answer, api } from '../api/client';
import { asProblem } from '../api/problem';
import { keys } from '../api/queries';
import { useDraft } from '../session/drafts';
import { announce } from '../shell/announce';
import { Button } from '../ui/Button';
import { Dialog, DialogActions } from '../ui/Dialog';
import { TextArea, TextField } from '../ui/Field';
import { ProblemNotice } from '../ui/ProblemNotice';
import { fieldError } from './fieldError';

const EMPTY = { name: '', description: '' };

interface Props {
  guildId: string;
  isOpen: boolean;
  onClose: () => void;
}

export function NewPluginDialog({ guildId, isOpen, onClose }: Props) {
  const navigate = useNavigate();
  const queryClient = useQueryClient();
  const [draft, setDraft, dropDraft] = useDraft(`new-plugin.${guildId}`, EMPTY);
  // All attempts to create the same plugin share a key, so that a lost answer creates no second plugin.
  const [attempt, setAttempt] = useState(() => ({ key: crypto.randomUUID(), body: '' }));
  const create = useMutation({
    mutationFn: () => {
      const body = JSON.stringify(draft);
      const key = attempt.body === '' || attempt.body === body ? attempt.key : crypto.randomUUID();
      setAttempt({ key, body });
      return answer(
        api.POST('/api/guilds/{guild_id}/plugins', {
          params: { path: { guild_id: guildId }, header: { 'idempotency-key': key } },
          body: draft,
        }),
      );
    },
    onSuccess: (plugin) => {
      dropDraft(EMPTY);
      setAttempt({ key: crypto.randomUUID(), body: '' });
      void queryClient.invalidateQueries({ queryKey: keys.guild(guildId) });
      announce(`${plugin.name} is created. Upload its first version.`);
      navigate(`/guilds/${guildId}/plugins/${plugin.id}/versions`);
    },
  });
  const problem = create.error && asProblem(create.error);
  const submit = (event: FormEvent) => {
    event.preventDefault();
    create.mutate();
  };
  const close = () => {
    create.reset();
    onClose();
  };
  return (
    <Dialog title="Create a plugin" isOpen={isOpen} onClose={close}>
      <form onSubmit={submit} className="form">
        {problem && <ProblemNotice problem={problem} />}
        <TextField
          label="Name"
          required
          maxLength={64}
          autoFocus
          autoComplete="off"
          value={draft.name}
          error={fieldError(problem, '/name')}
          onChange={(event) => setDraft({ ...draft, name: event.target.value })}
        />
        <TextArea
          label="Description (optional)"
          maxLength={2_000}
          value={draft.description}
          error={fieldError(problem, '/description')}
          hint="Tells the other admins of this guild what the plugin does."
          onChange={(event) => setDraft({ ...draft, description: event.target.value })}
        />
        <DialogActions>
          <Button onPress={close}>Cancel</Button>
          <Button kind="primary" type="submit" isPending={create.isPending}>
            Create
          </Button>
        </DialogActions>
      </form>
    </Dialog>
  );
}
