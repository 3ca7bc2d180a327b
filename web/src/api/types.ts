import type { components } from './schema';

type Schemas = components['schemas'];

export type SignIn = Schemas['SignIn'];
export type Guild = Schemas['Guild'];
export type GuildSummary = Schemas['GuildSummary'];
export type Budget = Schemas['Budget'];
export type Plugin = Schemas['Plugin'];
export type PluginChange = Schemas['PluginChange'];
export type Permission = Schemas['Permission'];
export type Version = Schemas['Version'];
export type VersionState = Schemas['VersionState'];
export type Upload = Schemas['Upload'];
export type Run = Schemas['Run'];
export type RunSummary = Schemas['RunSummary'];
export type Outcome = Schemas['Outcome'];
export type Intent = Schemas['Intent'];
export type HostCall = Schemas['HostCall'];
export type TestRun = Schemas['TestRun'];
export type TestMessage = Schemas['TestMessage'];
export type UsageHour = Schemas['UsageHour'];
export type Explanation = Schemas['Explanation'];
export type AuditEntry = Schemas['AuditEntry'];
export type Problem = Schemas['Problem'];
export type FieldError = Schemas['FieldError'];
export type Settings = Plugin['settings'];
