/* Conversations by family, as the families' own templates render them. The writer's state says
 * what failed. */
#ifndef ENGINE_CHAT_RENDER_H
#define ENGINE_CHAT_RENDER_H

#include "engine/chat_writer.h"

typedef void chat_render_fn(struct chat_writer *w);

chat_render_fn chat_render_chatml, chat_render_qwen2, chat_render_qwen3,
    chat_render_qwen3_plain, chat_render_qwen3_thinking, chat_render_qwq,
    chat_render_phi4_mini_reasoning, chat_render_smollm3, chat_render_phi4, chat_render_llama3,
    chat_render_llama2, chat_render_mistral, chat_render_mistral_v7, chat_render_gemma,
    chat_render_phi3, chat_render_zephyr, chat_render_bitnet, chat_render_deepseek,
    chat_render_deepseek_llm, chat_render_deepseek_coder;

#endif
