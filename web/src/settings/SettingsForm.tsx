// This is not imported from the package's index, which needs a validator that only its tests use.
import Form from '@rjsf/core/lib/components/Form.js';
import {
  type DescriptionFieldProps,
  ErrorSchemaBuilder,
  type IconButtonProps,
  type UiSchema,
  type ValidatorType,
} from '@rjsf/utils';
import { useMemo } from 'react';
import type { FieldError, Settings } from '../api/types';
import { check } from './check';
import { ofForm, type Schema } from './dialect';
import { steps } from './pointer';

interface Props {
  schema: Schema;
  value: Settings;
  errors: readonly FieldError[];
  isDisabled: boolean;
  onChange: (value: Settings) => void;
}

/** The form that a plugin's schema describes. Errors are passed in, so that the form and the JSON editor show the same. */
export default function SettingsForm({ schema, value, errors, isDisabled, onChange }: Props) {
  const shown = useMemo(() => ofForm(schema), [schema]);
  const uiSchema = useMemo(() => widgets(shown), [shown]);
  const extraErrors = useMemo(() => errorSchema(errors), [errors]);
  return (
    <Form<Settings>
      className="schema-form"
      idPrefix="settings"
      tagName="div"
      schema={shown as never}
      uiSchema={uiSchema}
      formData={value}
      validator={validator}
      extraErrors={extraErrors}
      disabled={isDisabled}
      noValidate
      noHtml5Validate
      showErrorList={false}
      // Unset values stay unset: the plugin applies its defaults, and a new version may have other defaults.
      experimental_defaultFormStateBehavior={{ emptyObjectFields: 'skipDefaults' }}
      templates={{
        DescriptionFieldTemplate: Description,
        ButtonTemplates: BUTTONS,
      }}
      onChange={({ formData }) => onChange(formData ?? {})}
    />
  );
}

/** Texts of a plugin are shown as plain text, never as markup. */
function Description({ id, description }: DescriptionFieldProps) {
  return description ? (
    <p id={id} className="field-hint">
      {description}
    </p>
  ) : null;
}

function Nothing() {
  return null;
}

const BUTTONS = {
  SubmitButton: Nothing,
  AddButton: (props: IconButtonProps) => <FormButton {...props} label="Add" />,
  RemoveButton: (props: IconButtonProps) => <FormButton {...props} label="Remove" />,
  MoveUpButton: (props: IconButtonProps) => <FormButton {...props} label="Move up" />,
  MoveDownButton: (props: IconButtonProps) => <FormButton {...props} label="Move down" />,
  CopyButton: (props: IconButtonProps) => <FormButton {...props} label="Copy" />,
  ClearButton: (props: IconButtonProps) => <FormButton {...props} label="Clear" />,
};

function FormButton({ label, onClick, disabled }: IconButtonProps & { label: string }) {
  return (
    <button type="button" className="button button-quiet" disabled={disabled} onClick={onClick}>
      {label}
    </button>
  );
}

function widgets(schema: Schema): UiSchema {
  const result: UiSchema = {};
  if (schema.format === 'textarea') result['ui:widget'] = 'textarea';
  if (schema.default !== undefined && schema.type !== 'object' && schema.type !== 'array') {
    result['ui:placeholder'] = String(schema.default);
    result['ui:help'] = `If it is not set: ${JSON.stringify(schema.default)}`;
  }
  for (const [name, property] of Object.entries(schema.properties ?? {})) result[name] = widgets(property);
  if (schema.items) result.items = widgets(schema.items);
  return result;
}

function errorSchema(errors: readonly FieldError[]) {
  const builder = new ErrorSchemaBuilder<Settings>();
  for (const { pointer, message } of errors) builder.addErrors(message, steps(pointer));
  return builder.ErrorSchema;
}

/** Replaces the validator of @rjsf, which compiles code: the page's security policy forbids that. */
const validator: ValidatorType<Settings> = {
  validateFormData(formData, schema) {
    const errors = check(schema as Schema, formData);
    return {
      errors: errors.map(({ pointer, message }) => ({ property: pointer, message, stack: message })),
      errorSchema: errorSchema(errors),
    };
  },
  isValid(schema, formData) {
    return check(schema as Schema, formData).length === 0;
  },
  rawValidation(schema, formData) {
    return { errors: check(schema as Schema, formData) as never[] };
  },
};
