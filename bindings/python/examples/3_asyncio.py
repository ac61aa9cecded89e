"""Three textures at once with asyncio, as files a game engine loads: Unreal's conventions here."""

import asyncio
from pathlib import Path

from cadenza.bridge import aio

MAPS = ("albedo", "normal_directx", "orm")


async def main() -> None:
    async with await aio.connect("tcp://127.0.0.1:5557") as game:
        asked = [{"prompt": prompt, "seed": 7, "size": 128} for prompt in ("mossy stone", "wet brick", "sand")]
        tickets = [await game.submit(recipe, encoding="dds", maps=MAPS) for recipe in asked]
        for ticket in tickets:
            texture = await ticket
            for name, data in texture.files.items():
                path = Path(f"{texture.recipe['prompt'].replace(' ', '-')}_{name}.dds")
                path.write_bytes(data)
                print(path, len(data))


asyncio.run(main())
