import { useQuery } from '@tanstack/react-query';
import { Link, useSearchParams } from 'react-router';
import { explanationQuery } from '../api/queries';
import { usePlugin } from '../plugins/PluginLayout';
import { Loaded } from '../shell/Loaded';
import { PageHeading } from '../shell/PageHeading';
import { Badge } from '../ui/Badge';
import { Empty } from '../ui/Empty';
import { sentence } from '../ui/ProblemNotice';
import { Time } from '../ui/Time';
import { CAUSES } from '../words/names';
import { messageId } from './filters';
import { Result } from './Result';

export function WhyPage() {
  const { plugin } = usePlugin();
  const [search] = useSearchParams();
  const id = messageId(search.get('message') ?? '');
  const query = useQuery({
    ...explanationQuery({ guild_id: plugin.guild_id, plugin_id: plugin.id }, id ?? ''),
    enabled: id !== null,
  });
  return (
    <>
      <PageHeading title={['Why', plugin.name]} level={2}>
        Why did it not answer?
      </PageHeading>
      <p>
        <Link to="../runs" relative="path">
          All runs
        </Link>
      </p>
      {id === null ? (
        <Empty title="This is not the id of a message">
          <p>An id looks like 0190f3c2-7d1e-7000-8000-000000000000. Copy it from the message, and try again.</p>
        </Empty>
      ) : (
        <>
          <p className="muted">
            Message <code>{id}</code>
          </p>
          <Loaded query={query} what="the reasons">
            {({ reasons, run }) => (
              <>
                <ol className="reasons">
                  {reasons.map((reason) => {
                    const { name, tone, advice } = CAUSES[reason.cause];
                    return (
                      <li key={`${reason.cause} ${reason.text}`}>
                        <Badge tone={tone}>{name}</Badge>
                        <div>
                          <p>
                            {sentence(reason.text)}{' '}
                            {!reason.certain && <span className="muted">(this may be the reason)</span>}
                          </p>
                          <p className="muted">{advice}</p>
                        </div>
                      </li>
                    );
                  })}
                </ol>
                {run && (
                  <section className="section">
                    <h3>
                      <Link to={`../runs/${run.id}`} relative="path">
                        Its run, <Time at={run.created_at} />
                      </Link>
                    </h3>
                    <Result run={run} />
                  </section>
                )}
              </>
            )}
          </Loaded>
        </>
      )}
    </>
  );
}
