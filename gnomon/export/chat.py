"""How a conversation is written for a model that has read some, told to other programs: as `data/forms/chat.py` does.

What the Jinja template gives is, token by token, what training encoded, but for two things. Text that spells a mark
becomes one, as in any ChatML. And a line's end at the start of an answer may become one token with the one before it.
"""

from gnomon.bundle import Bundle
from gnomon.data.forms.questions import FACT, FACT_END
from gnomon.taxonomy import CHAT, ROUTER, TOOLS, TYPES

TURN_END = CHAT[1]
SAID = frozenset((*TYPES, *ROUTER, *TOOLS[:2], FACT, FACT_END))
"""Marks that an assistant says and that people and programs are to see: GGUF has them as USER_DEFINED, which llama.cpp
prints, and not as CONTROL, which it hides.
"""


def reads_chat(bundle: Bundle) -> bool:
    """Return whether a model has been trained on conversations."""
    return bundle.plan.get("chat") is True


def end_ids(bundle: Bundle) -> list[int]:
    """Return the ids that end an answer: those behind a turn and behind a text."""
    return [bundle.tokenizer.special_id(TURN_END), bundle.tokenizer.end_of_text]


TEMPLATE = """\
{{- bos_token }}
{%- macro words(message) %}
    {%- if message.content is string %}{{- message.content }}
    {%- elif message.content %}{%- for part in message.content %}{{- part.text }}{%- endfor %}
    {%- endif %}
{%- endmacro %}
{%- macro ordered(value) %}
    {%- if value is mapping %}
        {{- '{' }}
        {%- for key, inner in value | dictsort(true) %}
            {{- (key | tojson) ~ ': ' ~ ordered(inner) }}{{- '' if loop.last else ', ' }}
        {%- endfor %}
        {{- '}' }}
    {%- elif value is iterable and value is not string %}
        {{- '[' }}
        {%- for inner in value %}{{- ordered(inner) }}{{- '' if loop.last else ', ' }}{%- endfor %}
        {{- ']' }}
    {%- else %}{{- value | tojson }}
    {%- endif %}
{%- endmacro %}
{%- macro described(tool) %}
    {%- set function = tool.function if tool.function is defined else tool %}
    {{- '{"type": "function", "function": {"name": ' ~ (function.name | tojson) }}
    {%- if function.description is defined %}{{- ', "description": ' ~ (function.description | tojson) }}{%- endif %}
    {%- if function.parameters is defined %}{{- ', "parameters": ' ~ ordered(function.parameters) }}{%- endif %}
    {{- '}}' }}
{%- endmacro %}
{%- macro called(call) %}
    {%- set function = call.function if call.function is defined else call %}
    {{- '{"name": ' ~ (function.name | tojson) ~ ', "arguments": ' }}
    {%- if function.arguments is string %}{{- function.arguments }}
    {%- elif function.arguments is defined %}{{- function.arguments | tojson }}
    {%- else %}{{- '{}' }}
    {%- endif %}
    {{- '}' }}
{%- endmacro %}
{%- set system = messages[0].role in ['system', 'developer'] %}
{%- if tools %}
    {{- '<|im_start|>system\\n' }}
    {%- if system and words(messages[0]) %}{{- words(messages[0]) ~ '\\n\\n' }}{%- endif %}
    {{- '<tools>\\n' }}
    {%- for tool in tools %}{{- described(tool) ~ '\\n' }}{%- endfor %}
    {{- '</tools><|im_end|>\\n' }}
{%- endif %}
{%- for message in messages %}
    {%- if tools and system and loop.first %}
    {%- elif message.role in ['tool', 'function'] %}
        {{- '<|im_start|>user\\n<tool_response>\\n' ~ words(message) ~ '\\n</tool_response><|im_end|>\\n' }}
    {%- elif message.role == 'assistant' %}
        {{- '<|im_start|>assistant\\n' }}
        {%- if message.recitation %}{{- '<|fact|> ' ~ message.recitation ~ '<|/fact|>' }}{%- endif %}
        {%- for token in message.control or [] %}{{- token }}{%- endfor %}
        {{- words(message) }}
        {%- for call in message.tool_calls or [] %}
            {{- '' if loop.first and not words(message) else '\\n' }}
            {{- '<tool_call>\\n' ~ called(call) ~ '\\n</tool_call>' }}
        {%- endfor %}
        {{- '<|im_end|>\\n' }}
    {%- else %}
        {{- '<|im_start|>' ~ ('system' if message.role == 'developer' else message.role) ~ '\\n' }}
        {{- words(message) ~ '<|im_end|>\\n' }}
    {%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}{{- '<|im_start|>assistant\\n' }}{%- endif %}
"""
"""In Jinja, for `transformers`, llama.cpp and vLLM. A message may have `control` and `recitation`, as records do."""

OLLAMA_TEMPLATE = """\
{{- if .Messages }}
{{- if or .System .Tools }}<|im_start|>system
{{ .System }}{{ if .Tools }}{{ if .System }}

{{ end }}<tools>
{{ range .Tools }}{"type": "function", "function": {{ .Function }}}
{{ end }}</tools>{{ end }}<|im_end|>
{{ end }}
{{- range $i, $_ := .Messages }}
{{- $last := eq (len (slice $.Messages $i)) 1 }}
{{- if eq .Role "user" }}<|im_start|>user
{{ .Content }}<|im_end|>
{{ else if eq .Role "assistant" }}<|im_start|>assistant
{{ .Content }}{{ range $j, $call := .ToolCalls }}{{ if or $j $_.Content }}
{{ end }}<tool_call>
{"name": "{{ $call.Function.Name }}", "arguments": {{ $call.Function.Arguments }}}
</tool_call>{{ end }}{{ if not $last }}<|im_end|>
{{ end }}
{{- else if eq .Role "tool" }}<|im_start|>user
<tool_response>
{{ .Content }}
</tool_response><|im_end|>
{{ end }}
{{- if and $last (ne .Role "assistant") }}<|im_start|>assistant
{{ end }}
{{- end }}
{{- else }}
{{- if .System }}<|im_start|>system
{{ .System }}<|im_end|>
{{ end }}<|im_start|>user
{{ .Prompt }}<|im_end|>
<|im_start|>assistant
{{ .Response }}
{{- end }}"""
"""In Go's words, for a Modelfile. Begin-of-text comes from the GGUF."""
